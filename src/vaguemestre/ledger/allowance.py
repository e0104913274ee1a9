"""What a connection's limits leave for now: messages in a minute, recipients in 24 hours, both rolling.

A claim takes its tokens in its own transaction (`take`); they are out while its attempt runs, and come back
a minute or a day after that ended (`spend`), or at once where nothing was offered to the server
(`give_back`). Of what a courier that died had out, what was staged ends when its lane is recovered
(`spend_all`), and the rest is back then: no server has it as a message, though MAIL and RCPT may have gone
out. So no window of a minute or a day holds more than the limits allow, kill -9 included: the server saw a
message before the end that is written down. A lane has one courier, so the count is exact.

A clock that is set back gives nothing early, and holds tokens for one term from then at most. One that is set
ahead gives them back early, as if the time had passed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from vaguemestre.ledger.database import execute, rows
from vaguemestre.ledger.models import Use
from vaguemestre.ledger.statements import tuples

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SLACK = timedelta(seconds=5)  # between the times of one courier's calls; beyond, the clock was set

_LIMITS = "SELECT per_minute, per_day, max_recipients FROM ledger_connection WHERE id = %(connection)s"

# What is out: of attempts that run, and of those that ended within the term. `ahead` tells a clock set back.
_OUT = """
SELECT SUM(CASE WHEN at IS NULL OR at > %(minute)s THEN messages ELSE 0 END) AS messages,
       SUM(recipients) AS recipients,
       MAX(CASE WHEN at > %(latest)s THEN 1 ELSE 0 END) AS ahead
FROM ledger_use WHERE connection_id = %(connection)s AND (at IS NULL OR at > %(since)s)
"""
_NOT_AHEAD = "UPDATE ledger_use SET at = %(latest)s WHERE connection_id = %(connection)s AND at > %(latest)s"


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
    def exhausted(self) -> bool:
        """Whether nothing may be claimed."""
        return self.messages == 0 or self.recipients == 0

    @property
    def limited(self) -> bool:
        """Whether a claim must take tokens."""
        return self.messages is not None or self.recipients is not None


@dataclass(frozen=True)
class _Bucket:
    """One limit: so many tokens, each back a term after the end of the attempt that took it.

    Attributes:
        limit: its name, as the connection has it.
        column: of `Use`, where its tokens are counted.
        wanted: of a message, at most all.
        ahead: tokens that others take before it, each as soon as it is there.
    """

    limit: str
    column: str
    tokens: int
    term: timedelta
    wanted: int
    ahead: int

    def back_at(self, connection_id: int, now: datetime) -> datetime | None:
        """When the wanted tokens are there; None while that hangs on attempts that run.

        Every `tokens` of those ahead take one term: what goes out when its token is back gives it back then.
        """
        rounds, place = divmod(self.ahead + self.wanted - 1, self.tokens)
        free = self._free_at(connection_id, place + 1, now)
        return None if free is None else free + rounds * self.term

    def _free_at(self, connection_id: int, wanted: int, now: datetime) -> datetime | None:
        lacking = self._out(connection_id, now) + wanted - self.tokens
        if lacking <= 0:
            return now
        ended = Use.objects.filter(connection_id=connection_id, at__gt=now - self.term).order_by("at")
        for at, tokens in ended.values_list("at", self.column)[:lacking]:
            lacking -= tokens
            if lacking <= 0:
                back: datetime = min(at, now + SLACK) + self.term
                return back
        return None

    def _out(self, connection_id: int, now: datetime) -> int:
        return _out(connection_id, now, now - self.term)[self.column] or 0


class Limits(NamedTuple):
    """A connection's: messages in a minute, recipients in a day and of one transaction; None for any."""

    minute: int | None
    day: int | None
    most: int | None


def allowance(connection_id: int, now: datetime, limits: Limits | None = None) -> Allowance:
    """What is left of a connection's limits, which are looked up where they are not known."""
    minute, day, most = limits or _limits(connection_id)
    if minute is None and day is None:
        return Allowance(None, None, most)
    out = _out(connection_id, now, now - (MINUTE if day is None else DAY))
    if out["ahead"]:
        execute(_NOT_AHEAD, {"connection": connection_id, "latest": now + SLACK})
    return Allowance(_left(minute, out["messages"]), _left(day, out["recipients"]), most)


def take(connection_id: int, recipients: Mapping[str, int]) -> None:
    """Take the tokens of attempts that are about to run, in the transaction that claims for them.

    When they began is not written down, since what counts is when they end.

    Args:
        connection_id: whose limits.
        recipients: of each attempt.
    """
    Use.objects.bulk_create(
        Use(connection_id=connection_id, attempt=attempt, at=None, messages=1, recipients=count)
        for attempt, count in recipients.items()
    )


def spend(attempts: Collection[str], now: datetime) -> None:
    """These attempts ended now: their tokens come back a minute and a day from now. Twice is once."""
    Use.objects.filter(attempt__in=attempts, at=None).update(at=now)


def give_back(attempts: Collection[str]) -> None:
    """The server has nothing of these attempts: their tokens are back at once."""
    Use.objects.filter(attempt__in=attempts, at=None).delete()


def spend_all(connection_id: int, now: datetime) -> None:
    """The lane changed hands: whatever earlier holders had out ended by now."""
    Use.objects.filter(connection_id=connection_id, at=None).update(at=now)


@dataclass(frozen=True)
class Return:
    """When tokens are back.

    Attributes:
        limit: "per_minute" or "per_day", whichever lasts; "" where there is none.
        at: None while attempts that run decide it.
    """

    limit: str
    at: datetime | None


def returning(connection_id: int, recipients: int, now: datetime, ahead: int = 0) -> Return:
    """When a message could have its tokens.

    Args:
        connection_id: whose limits.
        recipients: of that message; what no limit lets through at once counts as the most that one does.
        now: the time of asking.
        ahead: deliveries that go before it, each counted as a message of its own.
    """
    minute, day, largest = _limits(connection_id)
    most = min(largest or recipients, recipients)
    buckets = []
    if minute is not None:
        buckets.append(_Bucket("per_minute", "messages", minute, MINUTE, 1, ahead))
    if day is not None:
        buckets.append(_Bucket("per_day", "recipients", day, DAY, min(most, day), ahead))
    found = [Return(bucket.limit, bucket.back_at(connection_id, now)) for bucket in buckets]
    return _lasting(found) or Return("", now)


def _lasting(found: Collection[Return]) -> Return | None:
    unknown = [one for one in found if one.at is None]
    known = [(one.at, one) for one in found if one.at is not None]
    if unknown or not known:
        return next(iter(unknown), None)
    return max(known, key=lambda one: one[0])[1]


def forget(now: datetime) -> None:
    """Drop what no limit counts any more."""
    Use.objects.filter(at__lt=now - DAY).delete()


def _limits(connection_id: int) -> Limits:
    return Limits(*tuples(_LIMITS, {"connection": connection_id})[0])


def _out(connection_id: int, now: datetime, since: datetime) -> dict[str, Any]:
    moments = {"minute": now - MINUTE, "since": since, "latest": now + SLACK}
    (found,) = rows(_OUT, {"connection": connection_id, **moments})
    return found


def _left(limit: int | None, out: int | None) -> int | None:
    return None if limit is None else max(0, limit - (out or 0))
