"""What attempts did, written down: each delivery's next state, the attempt with its transcript, the events.

All of it once: a repeated report finds its deliveries settled, and its attempt there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import lru_cache
from typing import Any

import orjson

from vaguemestre.ledger import allowance, dsn_due
from vaguemestre.ledger.binding import Binding
from vaguemestre.ledger.claims import Report
from vaguemestre.ledger.database import on_postgresql, stored
from vaguemestre.ledger.ending import Ending, endings
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.statements import Insertion, concern
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import TERMINAL, DeliveryState

_SETTLE = """
UPDATE ledger_delivery AS d
SET state = given.state, next_attempt_at = given.next_attempt_at, counted = given.counted,
    spent = given.spent, doubts = given.doubts, doubt_reason = COALESCE(given.doubt_reason, d.doubt_reason),
    last_code = COALESCE(given.last_code, d.last_code), last_text = COALESCE(given.last_text, d.last_text),
    trouble = given.trouble, settled_at = given.settled_at,
    lane_epoch = NULL, claimed_at = NULL, staged_at = NULL, orphaned = 0
FROM given
WHERE d.id = given.delivery AND d.attempt = given.attempt AND d.state = 'claimed' AND d.lane_epoch = %s
"""
_DONE = {
    "delivery": "bigint", "attempt": "uuid", "state": "text", "next_attempt_at": "timestamptz",
    "counted": "int", "spent": "float8", "doubts": "int", "doubt_reason": "text", "last_code": "int",
    "last_text": "text", "trouble": "jsonb", "settled_at": "timestamptz",
}  # fmt: skip
# The same where nothing else is to be said: half of the values, which cost more than the update.
_ACCEPT = """
UPDATE ledger_delivery AS d
SET state = 'accepted', next_attempt_at = NULL, last_code = given.last_code, last_text = given.last_text,
    trouble = NULL, settled_at = given.settled_at,
    lane_epoch = NULL, claimed_at = NULL, staged_at = NULL, orphaned = 0
FROM given
WHERE d.id = given.delivery AND d.attempt = given.attempt AND d.state = 'claimed' AND d.lane_epoch = %s
"""
_TAKEN = {
    "delivery": "bigint", "attempt": "uuid", "last_code": "int", "last_text": "text",
    "settled_at": "timestamptz",
}  # fmt: skip
_ACCEPTED = DeliveryState.ACCEPTED.value
_ATTEMPTS = Insertion(
    "ledger_attempt",
    ("connection_id", "connection_version", "lane_epoch", "peer", "tls"),
    ("uid", "message_id", "started_at", "staged_at", "ended_at", "steps"),
    known="uid",
)
_EVENTS = Insertion("ledger_event", ("state", "detail"), ("delivery_id", "at", "attempt"))


def keep(lease: Lease, reports: Sequence[Report]) -> set[int]:
    """Give the deliveries of some attempts their next states; the answer is which of them had not got theirs.

    A part of the transaction that holds the lane.
    """
    taken, done, happened = [], [], []
    times = _times(reports)
    for report, ended_at in zip(reports, times[2::3], strict=True):
        attempt, accepted = report.claim.attempt, _accepted(report)
        for delivery, reply in accepted or ():
            taken.append((delivery, attempt, reply.code, reply.text, ended_at))
            happened.append((delivery, ended_at, attempt, _ACCEPTED, _thanks(reply.code, reply.text)))
        for ending in () if accepted else endings(report):
            done.append(_done(ending, attempt, ended_at))
            happened.append(_event(ending, attempt, ended_at))
    settled = concern(_ACCEPT, _TAKEN, taken, lease.epoch) | concern(_SETTLE, _DONE, done, lease.epoch)
    happened = [event for event in happened if event[0] in settled]
    _have_told(reports, happened)
    _keep_attempts(lease, reports, times)
    alike = [event[3:] for event in happened]
    own = [value for event in happened for value in event[:3]]
    with Binding() as bound:
        _EVENTS.put(bound, alike, own)
    _meter([report for report in reports if report.claim.metered])
    for report in reports:
        if report.health is not None:
            keep_health(lease.connection_id, report.connection_version, report.health)
    return settled


def _accepted(report: Report) -> list[tuple[int, Reply]]:
    """Each delivery with the reply that accepted it, where all were and no more is to be kept."""
    found = []
    for one in report.settlements:
        plain = one.trouble is None and one.delay_until is None and not one.counted
        if one.state is not DeliveryState.ACCEPTED or one.reply is None or not plain:
            return []
        found.append((one.delivery, one.reply))
    return found


def _have_told(reports: Sequence[Report], happened: Sequence[tuple[Any, ...]]) -> None:
    """What whoever handed it over wants reported: of what was accepted hardly anybody does."""
    notify = {duty.id: duty.notify for report in reports for duty in report.claim.duties}
    dsn_due.mark(
        (delivery, state, notify[delivery])
        for delivery, _, _, state, _ in happened
        if state != _ACCEPTED or notify[delivery]
    )


def _times(reports: Sequence[Report]) -> list[Any]:
    """When each began, was staged and ended, as `stored` gives times: on SQLite all of them made at once."""
    times = [at for report in reports for at in (report.started_at, report.staged_at, report.ended_at)]
    if on_postgresql() or [at for at in times if at is None or at.tzinfo is not UTC]:
        return [stored(at) for at in times]
    return orjson.dumps(times).decode()[2:-8].replace("T", " ").split('+00:00","')


def _keep_attempts(lease: Lease, reports: Sequence[Report], times: Sequence[Any]) -> None:
    alike: list[tuple[Any, ...]] = []
    own: list[Any] = []
    for number, report in enumerate(reports):
        alike.append((lease.connection_id, report.connection_version, lease.epoch, report.peer, report.tls))
        own += (
            report.claim.attempt,
            report.claim.message_id,
            *times[3 * number : 3 * number + 3],
            orjson.dumps(report.steps).decode(),
        )
    with Binding() as bound:
        _ATTEMPTS.put(bound, alike, own)


def _meter(reports: Sequence[Report]) -> None:
    """What limits let through counts from its end on, or never was, if nothing was offered."""
    if reports:
        ended_at = max(report.ended_at for report in reports)
        allowance.spend([report.claim.attempt for report in reports if report.offered], ended_at)
        allowance.give_back([report.claim.attempt for report in reports if not report.offered])


def _done(ending: Ending, attempt: str, ended_at: Any) -> tuple[Any, ...]:
    """A row of `_DONE`."""
    return (
        ending.delivery,
        attempt,
        ending.state._value_,  # `value` is worked out at each asking
        stored(ending.next_attempt_at),
        ending.counted,
        ending.spent,
        ending.doubts,
        ending.doubt or None,
        ending.code,
        None if ending.code is None else ending.text,
        None if ending.trouble is None else orjson.dumps(ending.trouble).decode(),
        ended_at if ending.state in TERMINAL else None,
    )


def _event(ending: Ending, attempt: str, ended_at: Any) -> tuple[Any, ...]:
    """A row of `_EVENTS`, with what is alike behind it."""
    words = orjson.dumps(_words(ending)).decode()
    return ending.delivery, ended_at, attempt, ending.state._value_, words


def _words(ending: Ending) -> dict[str, Any]:
    """What the time line says of it."""
    words: dict[str, Any] = {"trouble": ending.trouble}
    if ending.next_attempt_at is not None:
        words["next"] = ending.next_attempt_at.isoformat()
    if ending.doubt:
        return {"code": "in_doubt", "reason": ending.doubt, **words}
    reply = None if ending.code is None else {"code": ending.code, "text": ending.text}
    return {"code": "attempt", "reply": reply, **words}


@lru_cache(maxsize=256)
def _thanks(code: int, text: str) -> str:
    """The same of what was accepted by that reply, as the row has it."""
    reply = {"code": code, "text": text}
    return orjson.dumps({"code": "attempt", "reply": reply, "trouble": None}).decode()
