"""What people were told, so that no restart and no other courier tells it again."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import CheckConstraint, Q

from vaguemestre.policy.expiry import Notice


class ConnectionNotice(models.Model):
    """One row for a connection of which there was something to tell."""

    connection = models.OneToOneField("ledger.Connection", models.CASCADE, primary_key=True)
    certificate = models.TextField(default="", blank=True)  # the nearest notice of its server's certificate
    certificate_at = models.DateTimeField(null=True)  # when it was last seen that near
    quota_near = models.BooleanField(default=False)  # its limit for a day
    backup = models.ForeignKey("ledger.Connection", models.SET_NULL, null=True, related_name="+")  # stands in

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(certificate="", certificate_at=None)
                | Q(certificate__in=[notice.value for notice in Notice], certificate_at__isnull=False),
                name="connection_notice_certificate",
            )
        ]


class Waiting(StrEnum):
    """What waits for a person, and what waits for long."""

    HELD = "held"
    IN_DOUBT = "in_doubt"
    LATE = "late"


class WaitingNotice(models.Model):
    """The latest delivery that was looked at, and told of where it waits so."""

    kind = models.TextField(primary_key=True)
    delivery = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in Waiting]), name="waiting_notice_kind"
            )
        ]
