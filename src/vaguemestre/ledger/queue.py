"""The queue's hot path: claim, and record what was staged and settled. Few and large transactions.

Every function is one transaction that first makes sure of the lane's lease (its epoch), so that a stale
courier writes nothing. The mark of a stage is committed before an end of data goes out (L6); it also checks
the routing epoch and that the connection is active (L3). What was staged and has no recorded outcome is in
doubt; `recovery` finds it when a lane changes hands. A claim waits for no disk: nothing has left before the
stage is durable, and that makes its claim so.

The statements are written by hand: a handful for each transaction, however many messages it concerns.

Fails with `Stale`: the lease is somebody else's; nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from django.db import DatabaseError

from vaguemestre.ledger import allowance, dsn_due
from vaguemestre.ledger.additions import each_apart
from vaguemestre.ledger.claims import Claim, Duty, Mark, Report, Stale
from vaguemestre.ledger.database import (
    AWAY,
    Row,
    chunked,
    concern,
    for_share,
    for_update,
    insert,
    keep_index_order,
    provisional,
    rows,
    stored,
    writing,
)
from vaguemestre.ledger.ending import Ending, endings
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.identity import new_id
from vaguemestre.ledger.leases import Lease
from vaguemestre.mail.envelope import RECIPIENT_LIMIT
from vaguemestre.mail.state import OnDoubt
from vaguemestre.policy.turns import USUAL

# The lease is ours, and stays so until this transaction ends.
_HOLD = "SELECT 1 FROM ledger_lane WHERE connection_id = %(connection)s AND epoch = %(epoch)s"

# What is due on a lane and of one rank, in the order of acceptance; only what was routed at the present epoch
# (L3). Each rank is asked for by itself: a million later ones of a rank must not stand before the next.
_DUE = """
SELECT d.id, d.message_id, d.recipient, d.route, d.counted, d.spent, d.retry_age, d.doubts, d.orphaned,
       m.size, m.on_doubt, m.added, s.on_doubt AS stream_on_doubt
FROM ledger_delivery d
JOIN ledger_message m ON m.id = d.message_id
LEFT JOIN ledger_stream s ON s.id = m.stream_id
WHERE d.connection_id = %(connection)s AND d.state IN ('queued', 'in_doubt') AND d.rank = %(rank)s
  AND d.next_attempt_at <= %(now)s AND d.route_epoch = (SELECT routing_epoch FROM ledger_instance)
  AND (d.state = 'in_doubt' OR d.expires_at IS NULL OR d.expires_at > %(now)s)
ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s
"""
# The rest of the message that the limit cut: it travels once, and not once for each piece. By the message's
# own index: the signs before columns, and no order, keep planners from reading all that is due for it.
_OF_MESSAGE = "d.message_id = %(message)s AND d.id > %(last)s AND +d.connection_id ="
_REST = (
    _DUE.replace("d.connection_id =", _OF_MESSAGE)
    .replace("AND d.rank =", "AND +d.rank =")
    .replace("ORDER BY d.next_attempt_at, d.id ", "")
)

_CLAIM = """
UPDATE ledger_delivery AS d
SET state = 'claimed', lane_epoch = %s, claimed_at = %s, attempt = taken.attempt
FROM taken WHERE d.id = taken.delivery
"""

# The mark before the dot holds the connection and the instance row, so that a change of the routing comes
# before or after; in this order, which is every such change's, so that they never wait for each other. The
# signs before columns keep SQLite from reading all that the lane has claimed for each row marked.
_ACTIVE = "SELECT 1 FROM ledger_connection WHERE id = %(connection)s AND active"
_ROUTING = "SELECT routing_epoch FROM ledger_instance"
_STAGE = """
UPDATE ledger_delivery AS d SET staged_at = %s
FROM marked
WHERE d.id = marked.delivery AND d.attempt = marked.attempt AND d.state = 'claimed'
  AND +d.lane_epoch = %s AND d.route_epoch = %s AND +d.connection_id = %s
RETURNING id
"""
_UNSTAGE = """
UPDATE ledger_delivery AS d SET staged_at = NULL
FROM marked WHERE d.id = marked.delivery AND d.attempt = marked.attempt AND d.state = 'claimed'
"""
_TRIED_NOW = {"delivery": "bigint", "attempt": "uuid"}

_SETTLE = """
UPDATE ledger_delivery AS d
SET state = done.state, next_attempt_at = done.next_attempt_at, counted = done.counted, spent = done.spent,
    doubts = done.doubts, doubt_reason = COALESCE(done.doubt_reason, d.doubt_reason),
    last_code = COALESCE(done.last_code, d.last_code), last_text = COALESCE(done.last_text, d.last_text),
    trouble = done.trouble, settled_at = done.settled_at,
    lane_epoch = NULL, claimed_at = NULL, staged_at = NULL, orphaned = 0
FROM done
WHERE d.id = done.delivery AND d.attempt = done.attempt AND d.state = 'claimed' AND d.lane_epoch = %s
RETURNING id, notify
"""
_DONE = {
    "delivery": "bigint", "attempt": "uuid", "state": "text", "next_attempt_at": "timestamptz",
    "counted": "int", "spent": "float8", "doubts": "int", "doubt_reason": "text", "last_code": "int",
    "last_text": "text", "trouble": "jsonb", "settled_at": "timestamptz",
}  # fmt: skip
_TRIED = (
    "uid", "message_id", "connection_id", "connection_version", "lane_epoch", "started_at", "staged_at",
    "ended_at", "peer", "tls", "steps",
)  # fmt: skip
_HAPPENED = ("delivery_id", "at", "state", "attempt", "detail")


@dataclass(frozen=True)
class Recorded:
    """What became of a record.

    Attributes:
        staged: for each mark, whether its end of data may go out.
        settled: the deliveries that were settled now; a repeated report settles none.
    """

    staged: tuple[bool, ...]
    settled: frozenset[int]


@dataclass(frozen=True)
class Entry:
    """What is to be recorded of one lane."""

    lease: Lease
    marks: Sequence[Mark]
    reports: Sequence[Report]


def claim(lease: Lease, limit: int, now: datetime, ranks: Sequence[int] = USUAL) -> list[Claim]:
    """Take what is due on a lane, by message: about `limit` deliveries, and what the connection leaves.

    Args:
        lease: of the lane.
        limit: deliveries, and the rest of the message that it cuts.
        now: what is due by then.
        ranks: in the order of their turns.

    Raises:
        Stale: the lease is somebody else's.
    """
    with provisional():
        hold(lease)
        left = allowance.allowance(lease.connection_id, now)
        if left.exhausted:
            return []
        room = limit if left.recipients is None else min(limit, left.recipients)
        due = _due(lease, room, now, ranks, whole=left.recipients is None)
        pieces = [piece for group in _grouped(due) for piece in chunked(group, left.most or len(group))]
        claims = [_claim(piece, metered=left.limited) for piece in pieces[: left.messages]]
        if claims:
            _take(lease, claims, now)
        if claims and left.limited:
            allowance.take(lease.connection_id, {one.attempt: len(one.duties) for one in claims}, now)
        return claims


def record(lease: Lease, marks: Sequence[Mark], reports: Sequence[Report], now: datetime) -> Recorded:
    """Keep what attempts did, and mark claims as about to be acknowledged: one commit for all.

    Repeating a report changes nothing. A mark that may not go out (its route changed, its connection is
    inactive) is told by position and leaves its claim as it was.

    Raises:
        Stale: the lease is somebody else's; nothing was written.
    """
    with writing():
        hold(lease)
        settled = _settle(lease, reports) if reports else frozenset()
        return Recorded(_stage(lease, marks, now) if marks else (), settled)


def record_all(entries: Sequence[Entry], now: datetime) -> list[Recorded | Stale | DatabaseError]:
    """`record` for several lanes in one commit; what one of them meets is its own answer.

    Raises:
        OperationalError, InterfaceError: the database is away; nothing was written for any.
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


def hold(lease: Lease) -> None:
    """Raise `Stale` unless the lease is ours, and keep it so until the transaction ends."""
    if not rows(_HOLD + for_share(), {"connection": lease.connection_id, "epoch": lease.epoch}):
        raise Stale("the lane is held by another courier")


# Claiming


def _due(lease: Lease, room: int, now: datetime, ranks: Sequence[int], *, whole: bool) -> list[Row]:
    """What is due, by rank, and the rest of a message that the limit cuts, where it may travel."""
    keep_index_order()
    asked = {"connection": lease.connection_id, "now": now}
    due: list[Row] = []
    for rank in ranks:
        due += rows(_DUE + for_update("d"), asked | {"rank": rank, "limit": room - len(due)})
        if len(due) >= room:
            cut = {"message": due[-1]["message_id"], "last": due[-1]["id"], "limit": RECIPIENT_LIMIT}
            rest = rows(_REST + for_update("d"), asked | cut | {"rank": rank}) if whole else []
            return due + sorted(rest, key=itemgetter("id"))
    return due


def _grouped(due: Iterable[Row]) -> list[list[Row]]:
    """By message, in order; a retry of a doubt travels apart from what was never tried.

    So does each recipient of a content of its own.
    """
    groups: dict[tuple[int, bool, str, int], list[Row]] = {}
    for row in due:
        own = row["id"] if each_apart(row["added"]) else 0
        groups.setdefault((row["message_id"], row["doubts"] > 0, row["route"], own), []).append(row)
    return list(groups.values())


def _claim(deliveries: Sequence[Row], *, metered: bool) -> Claim:
    first = deliveries[0]
    on_doubt = first["on_doubt"] or first["stream_on_doubt"] or OnDoubt.RETRY
    return Claim(
        new_id(),
        first["message_id"],
        _route(first["route"]),
        first["size"],
        tuple(_duty(row) for row in deliveries),
        OnDoubt(on_doubt),
        metered,
    )


def _duty(row: Row) -> Duty:
    return Duty(
        row["id"],
        row["recipient"],
        row["counted"],
        row["spent"],
        row["retry_age"],
        row["doubts"],
        row["orphaned"],
    )


@lru_cache(maxsize=256)
def _route(stored: str) -> dict[str, Any]:
    """Few routes are in use at once; nobody changes the value."""
    route: dict[str, Any] = orjson.loads(stored)
    return route


def _take(lease: Lease, claims: Iterable[Claim], now: datetime) -> None:
    taken = [(duty.id, one.attempt.hex) for one in claims for duty in one.duties]
    concern(_CLAIM, "taken", _TRIED_NOW, taken, lease.epoch, stored(now))


# Staging


def _stage(lease: Lease, marks: Sequence[Mark], now: datetime) -> tuple[bool, ...]:
    if not rows(_ACTIVE + for_share(), {"connection": lease.connection_id}):
        return (False,) * len(marks)
    routing = rows(_ROUTING + for_share(), {})[0]["routing_epoch"]
    asked = [[(delivery, mark.claim.attempt.hex) for delivery in mark.deliveries] for mark in marks]
    every = [row for one in asked for row in one]
    where = (lease.epoch, routing, lease.connection_id)
    staged = {found[0] for found in concern(_STAGE, "marked", _TRIED_NOW, every, stored(now), *where)}
    answers = tuple(bool(one) and all(delivery in staged for delivery, _ in one) for one in asked)
    undone = [row for one, whole in zip(asked, answers, strict=True) if not whole for row in one]
    concern(_UNSTAGE, "marked", _TRIED_NOW, undone)
    return answers


# Settling


def _settle(lease: Lease, reports: Sequence[Report]) -> frozenset[int]:
    ended = [(report, ending) for report in reports for ending in endings(report)]
    done = [_done(report, ending) for report, ending in ended]
    found = concern(_SETTLE, "done", _DONE, done, lease.epoch)
    settled = frozenset(delivery for delivery, _ in found)
    states = {ending.delivery: ending.state for _, ending in ended}
    dsn_due.mark((delivery, states[delivery], notify) for delivery, notify in found)
    _keep_attempts(lease, reports)
    _keep_events((report, ending) for report, ending in ended if ending.delivery in settled)
    _meter([report for report in reports if report.claim.metered])
    for report in reports:
        if report.health is not None:
            keep_health(lease.connection_id, report.connection_version, report.health)
    return settled


def _meter(reports: Sequence[Report]) -> None:
    """What limits let through counts from its end on, or never was, if nothing was offered."""
    if reports:
        ended_at = max(report.ended_at for report in reports)
        allowance.spend([report.claim.attempt for report in reports if report.offered], ended_at)
        allowance.give_back([report.claim.attempt for report in reports if not report.offered])


def _done(report: Report, ending: Ending) -> tuple[Any, ...]:
    """A row of `_DONE`."""
    return (
        ending.delivery,
        report.claim.attempt.hex,
        ending.state.value,
        stored(ending.next_attempt_at),
        ending.counted,
        ending.spent,
        ending.doubts,
        ending.doubt or None,
        ending.code,
        None if ending.code is None else ending.text,
        None if ending.trouble is None else orjson.dumps(ending.trouble).decode(),
        stored(report.ended_at) if ending.state.terminal else None,
    )


def _keep_attempts(lease: Lease, reports: Iterable[Report]) -> None:
    tried = [
        (
            stored(report.claim.attempt),
            report.claim.message_id,
            lease.connection_id,
            report.connection_version,
            lease.epoch,
            stored(report.started_at),
            stored(report.staged_at),
            stored(report.ended_at),
            report.peer,
            report.tls,
            orjson.dumps(report.steps).decode(),
        )
        for report in reports
    ]
    insert("ledger_attempt", _TRIED, tried, known="uid")


def _keep_events(ended: Iterable[tuple[Report, Ending]]) -> None:
    happened = [
        (
            ending.delivery,
            stored(report.ended_at),
            ending.state.value,
            stored(report.claim.attempt),
            orjson.dumps(_words(ending)).decode(),
        )
        for report, ending in ended
    ]
    insert("ledger_event", _HAPPENED, happened)


def _words(ending: Ending) -> dict[str, Any]:
    """What the time line says of it."""
    words: dict[str, Any] = {"trouble": ending.trouble}
    if ending.next_attempt_at is not None:
        words["next"] = ending.next_attempt_at.isoformat()
    if ending.doubt:
        return {"code": "in_doubt", "reason": ending.doubt, **words}
    reply = None if ending.code is None else {"code": ending.code, "text": ending.text}
    return {"code": "attempt", "reply": reply, **words}
