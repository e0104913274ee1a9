"""What a connection's limits leave for now: messages in a minute, recipients in 24 hours, both rolling.

A claim writes down what it takes in its own transaction, and what is put back unused is written down as such,
so that the limits hold across restarts; a lane has one courier, so that they are exact. A courier that dies
leaves its claims counted: a limit is rather not used up than exceeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum

from vaguemestre.ledger.models import Connection, Use

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Allowance:
    """What may be claimed now; None for no limit.

    Attributes:
        messages: transactions.
        recipients: of all of them together.
        most: recipients of one transaction.
    """

    messages: int | None
    recipients: int | None
    most: int | None

    @property
    def limited(self) -> bool:
        """Whether a claim must be written down."""
        return self.messages is not None or self.recipients is not None


def allowance(connection_id: int, now: datetime) -> Allowance:
    """What is left of a connection's limits."""
    limits = Connection.objects.only("per_minute", "per_day", "max_recipients").get(pk=connection_id)
    return Allowance(
        _left(limits.per_minute, connection_id, "messages", now - MINUTE),
        _left(limits.per_day, connection_id, "recipients", now - DAY),
        limits.max_recipients,
    )


def use(connection_id: int, messages: int, recipients: int, now: datetime) -> None:
    """Write down what a claim takes."""
    Use.objects.create(connection_id=connection_id, at=now, messages=messages, recipients=recipients)


def forget(now: datetime) -> None:
    """Drop what no limit counts any more."""
    Use.objects.filter(at__lt=now - DAY).delete()


def _left(limit: int | None, connection_id: int, column: str, since: datetime) -> int | None:
    if limit is None:
        return None
    used = Use.objects.filter(connection_id=connection_id, at__gt=since).aggregate(sum=Sum(column))["sum"]
    return max(0, limit - (used or 0))
