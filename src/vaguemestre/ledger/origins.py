"""Where mail leaves from: the addresses that are published, and those that servers saw."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint


class SourceAddress(models.Model):
    """An address that mail leaves from, for the whitelist page."""

    address = models.TextField(unique=True)
    label = models.TextField(default="", blank=True)
    position = models.IntegerField()
    valid_from = models.DateField(null=True)  # the first day of its use
    valid_until = models.DateField(null=True)  # the last one

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(valid_from=None) | Q(valid_until=None) | Q(valid_from__lte=F("valid_until")),
                name="source_address_days",
            )
        ]


class Sighting(models.Model):
    """A connection's server told the address that it saw us come from."""

    connection = models.ForeignKey("ledger.Connection", models.CASCADE)
    address = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    alarmed_at = models.DateTimeField(null=True)  # when the operator was told that it is not on the list

    class Meta:
        constraints = [
            UniqueConstraint(fields=["connection", "address"], name="sighting_once"),
            CheckConstraint(condition=Q(first_seen_at__lte=F("last_seen_at")), name="sighting_times"),
        ]
