"""From what a server did to what the ledger records: pure decisions of one attempt.

The failure table (`policy.verdict`) judges each recipient's outcome; here its judgement becomes a settlement
(next state, next time, whether it counts) and the connection's next health. A retry of a delivery in doubt
never leaves doubt but by acceptance or by a person (L6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from vaguemestre.ledger.claims import Duty, Settlement
from vaguemestre.mail.phase import Cause, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value
from vaguemestre.policy import health as healths
from vaguemestre.policy.health import Backoff, HealthState
from vaguemestre.policy.judgement import Fate, HealthChange, Judgement
from vaguemestre.policy.schedule import RetrySchedule, expired, next_delay

_DOUBTS = {
    Cause.TIMEOUT: "timeout",
    Cause.LOST: "connection_lost",
    Cause.MALFORMED: "malformed_reply",
    Cause.UNDUE: "malformed_reply",
    Cause.REPLY: "unexpected_code",
}


@value
class Judged:
    """One recipient's outcome with its judgement; neither where it was accepted.

    Attributes:
        jitter: in [0, 1), drawn by the caller.
    """

    duty: Duty
    reply: Reply | None
    trouble: Trouble | None
    judgement: Judgement | None
    jitter: float = 0.5


def settlement(judged: Judged, schedule: RetrySchedule, now: datetime) -> Settlement:
    """What the ledger records of one recipient."""
    judgement, trouble = judged.judgement, judged.trouble
    if judgement is None or trouble is None:
        return Settlement(judged.duty.id, DeliveryState.ACCEPTED, judged.reply)
    told = trouble_json(trouble, judgement)
    match judgement.delivery:
        case Fate.IN_DOUBT:
            doubt = _DOUBTS.get(trouble.cause, "connection_lost")
            return Settlement(judged.duty.id, DeliveryState.IN_DOUBT, judged.reply, told, doubt=doubt)
        case Fate.REFUSED:
            state = DeliveryState.IN_DOUBT if judged.duty.doubts else DeliveryState.REFUSED
            return Settlement(judged.duty.id, state, judged.reply, told)
        case _:
            return _deferred(judged, judgement, told, schedule, now)


def _deferred(
    judged: Judged, judgement: Judgement, told: dict[str, Any], schedule: RetrySchedule, now: datetime
) -> Settlement:
    duty = judged.duty
    waiting = DeliveryState.IN_DOUBT if duty.doubts else DeliveryState.QUEUED
    if not judgement.counted:
        # Its lane decides when: a connection that waits costs its deliveries nothing (L7).
        return Settlement(duty.id, waiting, judged.reply, told, delay_until=now)
    if not duty.doubts and expired(duty.spent, duty.retry_age):
        return Settlement(duty.id, DeliveryState.EXPIRED, judged.reply, told, counted=True)
    delay = max(next_delay(schedule, duty.counted + 1, judged.jitter), judgement.retry_after or 0.0)
    return Settlement(
        duty.id, waiting, judged.reply, told, now + timedelta(seconds=delay), delay=delay, counted=True
    )


def our_fault(
    duty: Duty, schedule: RetrySchedule, now: datetime, jitter: float, *, staged: bool
) -> Settlement:
    """An attempt that a fault of ours ended. It blames nobody, and it is counted, so that it ends one day."""
    told: dict[str, Any] = {"phase": None, "cause": None, "row": None, "why": "our_fault", "facts": {}}
    if staged:
        return Settlement(duty.id, DeliveryState.IN_DOUBT, None, told, doubt="worker_died")
    if not duty.doubts and expired(duty.spent, duty.retry_age):
        return Settlement(duty.id, DeliveryState.EXPIRED, None, told, counted=True)
    delay = next_delay(schedule, duty.counted + 1, jitter)
    state = DeliveryState.IN_DOUBT if duty.doubts else DeliveryState.QUEUED
    return Settlement(duty.id, state, None, told, now + timedelta(seconds=delay), delay=delay, counted=True)


def trouble_json(trouble: Trouble, judgement: Judgement) -> dict[str, Any]:
    """What the message's page explains."""
    return {
        "phase": trouble.phase.value,
        "cause": trouble.cause.value,
        "row": judgement.row,
        "why": judgement.why.value,
        "facts": dict(trouble.facts),
    }


def next_health(
    state: HealthState, judged: Sequence[Judged], now: datetime, backoff: Backoff
) -> HealthState | None:
    """The connection's health after an attempt; None where it stays as it is."""
    accepted = [one for one in judged if one.judgement is None]
    if len(accepted) == len(judged) and state.ordinary:
        return None
    blamed = _gravest(judged)
    if blamed is None or blamed.judgement is None:
        after = healths.recovered(state, now) if accepted else state
    else:
        text = "" if blamed.reply is None else str(blamed.reply)
        after = healths.learned(state, blamed.judgement, now, text=text, backoff=backoff)
    return None if after == state else after


def _gravest(judged: Iterable[Judged]) -> Judged | None:
    """The outcome that says most about the connection: a lock before a throttle before a note."""
    order = (HealthChange.LOCK, HealthChange.THROTTLE, HealthChange.NOTE)
    blaming = [one for one in judged if one.judgement is not None and one.judgement.connection is not None]
    return min(blaming, key=lambda one: order.index(_change(one)), default=None)


def _change(judged: Judged) -> HealthChange:
    change = None if judged.judgement is None else judged.judgement.connection
    return HealthChange.NOTE if change is None else change
