"""The queue's hot path: claim, and record what was staged and settled. Few and large transactions.

Every function is one transaction that first makes sure of the lane's lease (its epoch), so that a stale
courier writes nothing. The mark of a stage is committed before an end of data goes out (L6); it also checks
the routing epoch, that the connection is active (L3), and that what leaves has not expired meanwhile. While
the installation is paused (`sending`), nothing is claimed or staged. What was staged and has no recorded
outcome is in doubt; `recovery` finds it when a lane changes hands. A claim waits for no disk: nothing has
left before the stage is durable, and that makes its claim so.

The statements are written by hand: a handful for each transaction, however many messages it concerns.

Fails with `Stale`: the lease is somebody else's; nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple

import orjson
from django.db import DatabaseError

from vaguemestre.ledger import allowance, settlements
from vaguemestre.ledger.additions import each_apart
from vaguemestre.ledger.claims import Claim, Duty, Mark, Report, Stale
from vaguemestre.ledger.database import (
    AWAY,
    chunked,
    for_share,
    for_update,
    keep_index_order,
    provisional,
    share,
    stored,
    writing,
)
from vaguemestre.ledger.identity import new_digits
from vaguemestre.ledger.instance import ROUTING_LOCK
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.statements import concern, tuples
from vaguemestre.mail.envelope import RECIPIENT_LIMIT
from vaguemestre.mail.state import OnDoubt
from vaguemestre.policy.turns import USUAL

# The lease is ours, and stays so until this transaction ends. The mark before the dot holds the connection
# and the instance row, too, so that a change of the routing comes before or after; in this order, which is
# every such change's, so that they never wait for each other. It shares a lock of the changes, so that these
# have their turn between the marks of many lanes.
_HELD = """
SELECT c.active AND i.paused = '', i.routing_epoch{limits}
FROM ledger_lane l JOIN ledger_connection c ON c.id = l.connection_id CROSS JOIN ledger_instance i {turn}
WHERE l.connection_id = %(connection)s AND l.epoch = %(epoch)s
"""
_HOLD = _HELD.format(limits="", turn="")
# The same with the connection's limits, for a claim: each column costs as much as some lines of Python.
_HOLD_AND_LIMITS = _HELD.format(limits=", c.per_minute, c.per_day, c.max_recipients", turn="")

# What is due on a lane and of one rank, in the order of acceptance; only what was routed at the present epoch
# (L3). Each rank is asked for by itself: a million later ones of a rank must not stand before the next.
_DUE = """
SELECT d.id, d.message_id, d.recipient, d.route, d.counted, d.spent, d.retry_age, d.doubts, d.orphaned,
       d.notify, m.size, m.on_doubt, m.added, s.on_doubt AS stream_on_doubt
FROM ledger_delivery d
JOIN ledger_message m ON m.id = d.message_id
LEFT JOIN ledger_stream s ON s.id = m.stream_id
WHERE d.connection_id = %(connection)s AND (d.state = 'queued' OR d.state = 'in_doubt')
  AND d.rank = %(rank)s AND d.next_attempt_at <= %(now)s
  AND d.route_epoch = (SELECT routing_epoch FROM ledger_instance)
  AND (d.state = 'in_doubt' OR d.expires_at IS NULL OR d.expires_at > %(now)s)
ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s
"""
# The rest of the message that the limit cut: it travels once, and not once for each piece. By the message's
# own index: the signs before columns, and no order, keep planners from reading all that is due for it.
_OF_MESSAGE = "d.message_id = %(message)s AND +d.connection_id ="
_REST = (
    _DUE.replace("d.connection_id =", _OF_MESSAGE)
    .replace("AND d.rank =", "AND +d.rank =")
    .replace("ORDER BY d.next_attempt_at, d.id ", "")
)

_CLAIM = """
UPDATE ledger_delivery AS d
SET state = 'claimed', lane_epoch = %s, claimed_at = %s, attempt = given.attempt
FROM given WHERE d.id = given.delivery
"""

# The signs before columns keep planners from reading all that the lane has claimed for the few rows marked.
_STAGE = """
UPDATE ledger_delivery AS d SET staged_at = %s
FROM given
WHERE d.id = given.delivery AND d.attempt = given.attempt AND d.state = 'claimed'
  AND +d.lane_epoch = %s AND d.route_epoch = %s AND +d.connection_id = %s
  AND (d.expires_at IS NULL OR d.expires_at > %s OR d.doubts > 0)
"""
_UNSTAGE = """
UPDATE ledger_delivery AS d SET staged_at = NULL
FROM given WHERE d.id = given.delivery AND d.attempt = given.attempt AND d.state = 'claimed'
"""
_ON_DOUBT = {policy.value: policy for policy in OnDoubt}
_TRIED_NOW = {"delivery": "bigint", "attempt": "uuid"}


class Held(NamedTuple):
    """What a lane is, as far as it stays so until the transaction ends: see `hold`.

    Attributes:
        open: whether anything may leave: its connection is active, and the installation is not paused.
        routing_epoch: the present one.
    """

    open: bool
    routing_epoch: int


class _Due(NamedTuple):
    """A row of `_DUE`."""

    id: int
    message_id: int
    recipient: str
    route: str
    counted: int
    spent: float
    retry_age: float
    doubts: int
    orphaned: int
    notify: str
    size: int
    on_doubt: str
    added: str
    stream_on_doubt: str | None


@dataclass(frozen=True)
class Recorded:
    """What became of a record.

    Attributes:
        staged: for each mark, whether its end of data may go out.
        settled: the deliveries that were settled now; a repeated report settles none.
    """

    staged: tuple[bool, ...]
    settled: set[int]


@dataclass(frozen=True)
class Entry:
    """What is to be recorded of one lane."""

    lease: Lease
    marks: Sequence[Mark]
    reports: Sequence[Report]


def claim(
    lease: Lease, limit: int, now: datetime, ranks: Sequence[int] = USUAL, *, whole: bool = True
) -> list[Claim]:
    """Take what is due on a lane, by message: about `limit` deliveries, and what the connection leaves.

    Args:
        lease: of the lane.
        limit: deliveries.
        now: what is due by then.
        ranks: in the order of their turns.
        whole: whether the rest of the message that the limit cuts comes with it.

    Raises:
        Stale: the lease is somebody else's.
    """
    with provisional():
        held, limits = _hold_to_claim(lease)
        if not held.open:
            return []
        left = allowance.allowance(lease.connection_id, now, limits)
        if left.exhausted:
            return []
        room = limit if left.recipients is None else min(limit, left.recipients)
        due = _due(lease, room, now, ranks, whole=whole and left.recipients is None)
        pieces: Sequence[Sequence[_Due]] = _grouped(due)
        if left.most is not None:
            pieces = [piece for group in pieces for piece in chunked(group, left.most)]
        claims = [_claim(piece, metered=left.limited) for piece in pieces[: left.messages]]
        if claims:
            _take(lease, claims, now)
        if claims and left.limited:
            allowance.take(lease.connection_id, {one.attempt: len(one.duties) for one in claims})
        return claims


def record(lease: Lease, marks: Sequence[Mark], reports: Sequence[Report], now: datetime) -> Recorded:
    """Keep what attempts did, and mark claims as about to be acknowledged: one commit for all.

    Repeating a report changes nothing. A mark that may not go out (its route changed, its connection is
    inactive, its time is over) is told by position and leaves its claim as it was.

    Raises:
        Stale: the lease is somebody else's; nothing was written.
    """
    with writing():
        held = hold(lease, marking=bool(marks))
        settled = settlements.keep(lease, reports) if reports else set()
        return Recorded(_stage(lease, held, marks, now), settled)


def record_all(entries: Sequence[Entry], now: datetime) -> list[Recorded | Stale | DatabaseError]:
    """`record` for several lanes in one commit; what one of them meets is its own answer.

    Raises:
        OperationalError, InterfaceError, InternalError: the database is away; nothing was written for any.
    """
    if len(entries) == 1:
        return [_recorded(entries[0], now)]  # a transaction by itself, without a savepoint in it
    with writing():
        return [_recorded(entry, now) for entry in entries]


def _recorded(entry: Entry, now: datetime) -> Recorded | Stale | DatabaseError:
    try:
        return record(entry.lease, entry.marks, entry.reports, now)
    except AWAY:
        raise
    except (Stale, DatabaseError) as refusal:
        return refusal


def hold(lease: Lease, *, marking: bool = False) -> Held:
    """Raise `Stale` unless the lease is ours, and keep it so until the transaction ends.

    Args:
        lease: of the lane.
        marking: whether the connection and the routing are to stay as they are, too.
    """
    return Held._make(_held(lease, _marking() if marking else _HOLD + for_share("l")))


@cache
def _marking() -> str:
    """The statement of a mark."""
    return _HELD.format(limits="", turn=share(ROUTING_LOCK)) + for_share("l", "c", "i")


def _hold_to_claim(lease: Lease) -> tuple[Held, allowance.Limits]:
    """The same with the connection's limits, for which nobody else asks."""
    opened, routing, *limits = _held(lease, _HOLD_AND_LIMITS + for_share("l"))
    return Held(opened, routing), allowance.Limits._make(limits)


def _held(lease: Lease, question: str) -> tuple[Any, ...]:
    found = tuples(question, {"connection": lease.connection_id, "epoch": lease.epoch})
    if not found:
        raise Stale("the lane is held by another courier")
    return found[0]


# Claiming


def _due(lease: Lease, room: int, now: datetime, ranks: Sequence[int], *, whole: bool) -> list[_Due]:
    """What is due, by rank, and the rest of a message that the limit cuts, where it may travel."""
    keep_index_order()
    asked = {"connection": lease.connection_id, "now": stored(now)}
    due: list[_Due] = []
    for rank in ranks:
        due += _found(_DUE, asked | {"rank": rank, "limit": room - len(due)})
        if len(due) >= room:
            return due + _rest(due, asked | {"rank": rank}) if whole else due
    return due


def _rest(due: Sequence[_Due], asked: Mapping[str, Any]) -> list[_Due]:
    """What else is due of the last one's message: any of it, since retries have an order of their own."""
    there = {row.id for row in due}
    found = _found(_REST, {**asked, "message": due[-1].message_id, "limit": RECIPIENT_LIMIT})
    return sorted(row for row in found if row.id not in there)


def _found(statement: str, asked: Mapping[str, Any]) -> list[_Due]:
    return [*map(_Due._make, tuples(statement + for_update("d"), asked))]


def _grouped(due: Iterable[_Due]) -> list[list[_Due]]:
    """By message, in order; a retry of a doubt travels apart from what was never tried.

    So does each recipient of a content of its own.
    """
    groups: dict[tuple[int, bool, str, int], list[_Due]] = {}
    for row in due:
        own = row.id if each_apart(row.added) else 0
        groups.setdefault((row.message_id, row.doubts > 0, row.route, own), []).append(row)
    return list(groups.values())


def _claim(deliveries: Sequence[_Due], *, metered: bool) -> Claim:
    first = deliveries[0]
    return Claim(
        new_digits(),
        first.message_id,
        _route(first.route),
        first.size,
        tuple([_duty(row) for row in deliveries]),
        _ON_DOUBT[first.on_doubt or first.stream_on_doubt or OnDoubt.RETRY],
        metered,
    )


def _duty(row: _Due) -> Duty:
    return Duty(
        row.id,
        row.recipient,
        row.counted,
        row.spent,
        row.retry_age,
        row.doubts,
        row.orphaned,
        row.notify,
    )


@lru_cache(maxsize=256)
def _route(stored: str) -> dict[str, Any]:
    """Few routes are in use at once; nobody changes the value."""
    route: dict[str, Any] = orjson.loads(stored)
    return route


def _take(lease: Lease, claims: Iterable[Claim], now: datetime) -> None:
    taken = [row for one in claims for row in one.mark()]
    concern(_CLAIM, _TRIED_NOW, taken, lease.epoch, stored(now))


# Staging


def _stage(lease: Lease, held: Held, marks: Sequence[Mark], now: datetime) -> tuple[bool, ...]:
    if not held.open:
        return (False,) * len(marks)
    every = list(chain.from_iterable(marks))
    where = (lease.epoch, held.routing_epoch, lease.connection_id)
    at = stored(now)
    staged = concern(_STAGE, _TRIED_NOW, every, at, *where, at)
    answers = tuple([bool(mark) and not [row for row in mark if row[0] not in staged] for mark in marks])
    undone = [row for mark, whole in zip(marks, answers, strict=True) if not whole for row in mark]
    concern(_UNSTAGE, _TRIED_NOW, undone)
    return answers
