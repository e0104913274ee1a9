"""Delay notices: what has waited for long is told on its time line, and to whoever asked by NOTIFY=DELAY.

Each delivery is looked at once, that long after its message was accepted and in the order of acceptance: up
to which is kept in `WaitingNotice`. So what waits is found without an index of its own, and a million that
are not late yet are not read. What waits since another moment, or was in a courier's hands when its turn
came, has a row in `WaitStart` and is looked at by that. What is told and up to where is one transaction:
nothing is told twice, whoever looks and whatever is killed in between.

Fails where the database is away; then nothing was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from vaguemestre.ledger import dsn_due, outlook, waits
from vaguemestre.ledger.database import by_index, keep_index_order, moment, on_postgresql, writing
from vaguemestre.ledger.models import Delivery, Event, WaitingNotice, WaitStart
from vaguemestre.ledger.statements import tuples
from vaguemestre.ledger.told import Waiting
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.lateness import Lateness, lateness, long_ago
from vaguemestre.policy.outlook import Count, Outlook
from vaguemestre.policy.schedule import RetrySchedule

BATCH = 200  # deliveries told of in one transaction
STRETCH = 20_000  # deliveries passed in one
CODE = "delayed"

_FEW = ("connection__backup", "backup_for", "explanation")  # most deliveries have the same
_UNREAD = ("message__header_from", "message__tags", "message__metadata", "message__added")

# Where to go on, and the first delivery that is too young: its message is found by the index of their times,
# and it by the message's own. With the sum, planners do not walk through all deliveries for it.
_ENDS = """
SELECT (SELECT MIN(id) FROM ledger_delivery WHERE id > %(front)s) AS first,
       COALESCE(
         (SELECT MIN(id + 0) FROM ledger_delivery WHERE message_id =
            (SELECT id FROM ledger_message WHERE accepted_at > %(before)s ORDER BY accepted_at LIMIT 1)),
         (SELECT MAX(id) FROM ledger_delivery) + 1
       ) AS young
"""
# What still waits of a stretch, by the primary key. A subquery: for an anti join PostgreSQL may read all that
# waits since another moment once for each row, while its statistics are old.
_PASSED = """
SELECT d.id, d.state, m.accepted_at, false FROM ledger_delivery d JOIN ledger_message m ON m.id = d.message_id
WHERE d.id >= %(first)s AND d.id <= %(last)s AND (d.state = 'queued' OR d.state = 'claimed')
  AND d.delayed_at IS NULL AND (SELECT w.since FROM ledger_waitstart w WHERE w.delivery_id = d.id) IS NULL
ORDER BY d.id LIMIT %(limit)s
"""
# What waits since another moment, that long. It is few at a time, and none of it is read twice: but for what
# a courier has, which is looked at again.
_BEGUN = """
SELECT d.id, d.state, w.since, d.delayed_at IS NOT NULL
FROM ledger_waitstart w JOIN ledger_delivery d ON d.id = w.delivery_id
WHERE w.since <= %(before)s AND d.state <> 'claimed' ORDER BY w.since LIMIT %(limit)s
"""


class _Waiter(NamedTuple):
    """A delivery that is looked at, and since when it waits; `known` is one that was told late before."""

    delivery: int
    state: str
    since: Any
    known: bool


@dataclass(frozen=True)
class Looked:
    """What a look came to: how many deliveries were told late, and whether there may be more."""

    told: int = 0
    more: bool = False


@dataclass(frozen=True)
class _Turn:
    """Deliveries whose turn to be looked at has come, by their numbers; `more` follow them."""

    first: int
    last: int
    more: bool


def look(now: datetime, schedule: RetrySchedule, limit: int = BATCH, stretch: int = STRETCH) -> Looked:
    """Tell of what is late by now.

    Args:
        now: when.
        schedule: says when a delivery is late.
        limit: deliveries told of among those that are passed, and among those that began to wait later.
        stretch: deliveries that are passed.
    """
    before = long_ago(schedule, now)
    # Asked without a transaction first: mostly there is nothing, and a write lock is dear.
    if _turn(_front(), before, stretch) is None and not _begun(before, 1):
        return Looked()
    with writing(), by_index():
        keep_index_order()
        turn, begun = _turn(_hold_front(), before, stretch), _begun(before, limit)
        passed = [] if turn is None else _passed(turn, limit)
        told = _tell([*passed, *begun], schedule, now)
        _look_again(passed, told)
        _done(begun, told)
        full = len(passed) == limit
        if turn is not None:
            _move_front(passed[-1].delivery if full else turn.last)
        return Looked(len(told), full or len(begun) == limit or (turn is not None and turn.more))


def outlook_of(detail: Mapping[str, Any]) -> Outlook:
    """What it waited for when it was told late, as the event keeps it."""
    kept = detail["outlook"]
    facts = {name: _read(name, value) for name, value in kept["facts"].items()}
    return Outlook(kept["code"], _read("at", kept["at"]), facts)


# How far it was looked


def _front() -> int:
    known = WaitingNotice.objects.filter(kind=Waiting.LATE.value).values_list("delivery", flat=True).first()
    return known or 0


def _hold_front() -> int:
    """The same, for one courier at a time."""
    WaitingNotice.objects.bulk_create([WaitingNotice(kind=Waiting.LATE.value)], ignore_conflicts=True)
    return WaitingNotice.objects.select_for_update().get(kind=Waiting.LATE.value).delivery


def _move_front(delivery: int) -> None:
    WaitingNotice.objects.filter(kind=Waiting.LATE.value).update(delivery=delivery)


# What is looked at


def _turn(front: int, before: datetime, stretch: int) -> _Turn | None:
    ((first, young),) = tuples(_ENDS, {"front": front, "before": before})
    if first is None or first >= young:
        return None
    last = min(young, first + stretch) - 1
    return _Turn(first, last, last < young - 1)


def _passed(turn: _Turn, limit: int) -> list[_Waiter]:
    asked = {"first": turn.first, "last": turn.last, "limit": limit}
    return [_Waiter(*row) for row in tuples(_PASSED, asked)]


def _begun(before: datetime, limit: int) -> list[_Waiter]:
    return [_Waiter(*row) for row in tuples(_BEGUN, {"before": before, "limit": limit})]


# What follows


def _tell(waiters: Iterable[_Waiter], schedule: RetrySchedule, now: datetime) -> set[int]:
    """Tell of those that are late and still wait; the answer is which."""
    late = [
        waiter.delivery
        for waiter in waiters
        if lateness(DeliveryState(waiter.state), moment(waiter.since), schedule, now) is Lateness.LATE
    ]
    deliveries = _waiting(late)
    outlooks = outlook.of_deliveries(deliveries, now)
    Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries]).update(delayed_at=now)
    Event.objects.bulk_create(
        Event(delivery=delivery, at=now, state=delivery.state, detail=_detail(expected))
        for delivery, expected in zip(deliveries, outlooks, strict=True)
    )
    dsn_due.mark_delayed((delivery.pk, delivery.notify) for delivery in deliveries)
    return {delivery.pk for delivery in deliveries}


def _waiting(late: Sequence[int]) -> list[Delivery]:
    """Those that wait now, and were not told before; without what another transaction has in hand."""
    found = Delivery.objects.filter(pk__in=late, state=DeliveryState.QUEUED, delayed_at=None).order_by("pk")
    found = found.select_related("message__stream").prefetch_related(*_FEW).defer(*_UNREAD)
    return list(found.select_for_update(skip_locked=True, of=("self",)) if on_postgresql() else found)


def _look_again(passed: Iterable[_Waiter], told: set[int]) -> None:
    """What a courier, or another transaction, has in hand now."""
    waits.begin((waiter.delivery, moment(waiter.since)) for waiter in passed if waiter.delivery not in told)


def _done(begun: Iterable[_Waiter], told: set[int]) -> None:
    """Forget since when they wait; but of what another transaction has in hand."""
    over = told | {one.delivery for one in begun if one.known or one.state != DeliveryState.QUEUED}
    ids = [one.delivery for one in begun if one.delivery in over]
    WaitStart.objects.filter(pk__in=ids).delete()


# As the event keeps it

_TIMES = frozenset({"at", "expires_at", "not_before", "since"})


def _detail(expected: Outlook) -> dict[str, Any]:
    facts = {name: _kept(value) for name, value in expected.facts.items()}
    return {"code": CODE, "outlook": {"code": expected.code, "at": _kept(expected.at), "facts": facts}}


def _kept(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return [value.number, value.more] if isinstance(value, Count) else value


def _read(name: str, value: Any) -> Any:
    if name == "ahead":
        return Count(*value)
    return datetime.fromisoformat(value) if name in _TIMES and value else value
