"""What attempts did, written down: each delivery's next state, the attempt with its transcript, the events.

All of it once: a repeated report finds its deliveries settled, and its attempt there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from vaguemestre.ledger import allowance, dsn_due
from vaguemestre.ledger.claims import Report
from vaguemestre.ledger.database import stored
from vaguemestre.ledger.ending import Ending, endings
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.statements import concern, insert
from vaguemestre.mail.state import TERMINAL

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
_TRIED = (
    "uid", "message_id", "connection_id", "connection_version", "lane_epoch", "started_at", "staged_at",
    "ended_at", "peer", "tls", "steps",
)  # fmt: skip
_HAPPENED = ("delivery_id", "at", "state", "attempt", "detail")


def keep(lease: Lease, reports: Sequence[Report]) -> set[int]:
    """Give the deliveries of some attempts their next states; the answer is which of them had not got theirs.

    A part of the transaction that holds the lane.
    """
    done, tried, happened = [], [], []
    notify: dict[int, str] = {}
    for report in reports:
        attempt, ended_at = report.claim.attempt, stored(report.ended_at)
        tried.append(_attempt(lease, report, attempt, ended_at))
        for ending in endings(report):
            done.append(_done(ending, attempt, ended_at))
            happened.append(_event(ending, attempt, ended_at))
        for duty in report.claim.duties:
            notify[duty.id] = duty.notify
    settled = concern(_SETTLE, _DONE, done, lease.epoch)
    happened = [event for event in happened if event[0] in settled]
    dsn_due.mark((delivery, state, notify[delivery]) for delivery, _, state, _, _ in happened)
    insert("ledger_attempt", _TRIED, tried, known="uid")
    insert("ledger_event", _HAPPENED, happened)
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


def _attempt(lease: Lease, report: Report, attempt: str, ended_at: Any) -> tuple[Any, ...]:
    """A row of `_TRIED`."""
    return (
        attempt,
        report.claim.message_id,
        lease.connection_id,
        report.connection_version,
        lease.epoch,
        stored(report.started_at),
        stored(report.staged_at),
        ended_at,
        report.peer,
        report.tls,
        orjson.dumps(report.steps).decode(),
    )


def _event(ending: Ending, attempt: str, ended_at: Any) -> tuple[Any, ...]:
    """A row of `_HAPPENED`."""
    return ending.delivery, ended_at, ending.state._value_, attempt, orjson.dumps(_words(ending)).decode()


def _words(ending: Ending) -> dict[str, Any]:
    """What the time line says of it."""
    words: dict[str, Any] = {"trouble": ending.trouble}
    if ending.next_attempt_at is not None:
        words["next"] = ending.next_attempt_at.isoformat()
    if ending.doubt:
        return {"code": "in_doubt", "reason": ending.doubt, **words}
    reply = None if ending.code is None else {"code": ending.code, "text": ending.text}
    return {"code": "attempt", "reply": reply, **words}
