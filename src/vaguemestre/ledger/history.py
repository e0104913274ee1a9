"""How deliveries got where they are: tries, events, and why routing answered as it did. See `models`."""

from __future__ import annotations

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class Written(models.JSONField):
    """JSON that we alone write, for every message: SQLite does not read it once more, to check it."""

    def db_check(self, connection: BaseDatabaseWrapper) -> None:
        """None."""


class Explanation(models.Model):
    """Why routing answered as it did: one row for all that got the same answer (`explanations`)."""

    digest = models.BinaryField(unique=True)  # SHA-256 of both
    reason = models.JSONField()  # {"code", "facts"}: why this connection, or why held
    rules = models.JSONField(default=list)  # every rule, matched or passed over
    epoch = models.BigIntegerField()  # the latest of the routing under which it was the answer


class Attempt(models.Model):
    """One try at deliveries of one message; written once, when it ended."""

    uid = models.UUIDField(unique=True)
    message = models.ForeignKey("ledger.Message", models.CASCADE)
    connection = models.ForeignKey("ledger.Connection", models.PROTECT)
    connection_version = models.IntegerField()
    lane_epoch = models.BigIntegerField()
    started_at = models.DateTimeField()
    staged_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    peer = models.TextField(default="")
    tls = models.TextField(default="")
    steps = Written()


class WaitStart(models.Model):
    """Since when a delivery waits, where that is not since its message was accepted (`waits`).

    Gone once it was looked at for a delay notice (`delays`).
    """

    # Without a constraint: who notes it must not wait for who has the delivery locked.
    delivery = models.OneToOneField("ledger.Delivery", models.CASCADE, primary_key=True, db_constraint=False)
    since = models.DateTimeField(db_index=True)


class Event(models.Model):
    """How a delivery got to a state: appended with every transition."""

    delivery = models.ForeignKey("ledger.Delivery", models.CASCADE)
    at = models.DateTimeField()
    state = models.TextField()
    attempt = models.UUIDField(null=True)
    detail = Written(default=dict)  # {"code", ...}: reason, reply, who
