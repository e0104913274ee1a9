"""Who wants no more of a stream. See `models`; `unsubscribing` writes it."""

from __future__ import annotations

from django.db import models
from django.db.models import UniqueConstraint


class OptOut(models.Model):
    """An address that unsubscribed from a stream: what comes for it later is refused."""

    stream = models.ForeignKey("ledger.Stream", models.CASCADE)
    address = models.TextField()  # as `Mailbox.key` has it
    at = models.DateTimeField()

    class Meta:
        constraints = [UniqueConstraint(fields=["stream", "address"], name="opt_out_once")]
