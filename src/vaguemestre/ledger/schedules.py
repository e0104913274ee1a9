"""When the product reports by itself: the one schedule of the weekly report."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q


class ReportSchedule(models.Model):
    """Who gets the weekly report, and when; without the row nobody does.

    `sent_for` is the day, in its zone, whose report was accepted: no courier sends that day's again.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    active = models.BooleanField(default=False)
    recipients = models.JSONField(default=list)  # addresses in their wire form
    weekday = models.SmallIntegerField(default=0)  # 0 is Monday
    hour = models.SmallIntegerField(default=8)
    zone = models.TextField(default="Europe/Paris")  # of the IANA database
    language = models.TextField(default="", blank=True)  # "" is the installation's
    set_at = models.DateTimeField()  # since when day, hour and zone are these: nothing earlier is due
    sent_for = models.DateField(null=True)
    message = models.ForeignKey("ledger.Message", models.SET_NULL, null=True)  # the latest report

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(id=1), name="report_schedule_one_row"),
            CheckConstraint(condition=Q(weekday__gte=0, weekday__lte=6), name="report_schedule_weekday"),
            CheckConstraint(condition=Q(hour__gte=0, hour__lte=23), name="report_schedule_hour"),
        ]
