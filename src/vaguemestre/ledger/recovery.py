"""Claims that nobody works at any more: put back, or found when a lane changes hands.

What was staged may have arrived and is in doubt (L6); the rest is queued again, in the place that it had. A
delivery whose courier died while it held it is tried at once the first time; from the second death running it
waits by the retry schedule, so that a message that kills couriers cannot do so without end.

Fails with `Stale`, as `queue` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from vaguemestre.ledger import allowance, dsn_due
from vaguemestre.ledger.claims import Claim
from vaguemestre.ledger.database import as_json, execute, recordset, writing
from vaguemestre.ledger.doubts import after_doubt, on_doubt
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.models import Delivery, Event
from vaguemestre.ledger.queue import hold
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.schedule import RetrySchedule, nominal_delay

ORDINARY = RetrySchedule()
_KEPT: dict[str, str] = {
    "id": "bigint", "state": "text", "next_attempt_at": "timestamptz", "settled_at": "timestamptz",
    "doubts": "int", "doubt_reason": "text", "orphaned": "int", "trouble": "jsonb",
}  # fmt: skip
_KEEP = """
UPDATE ledger_delivery AS d
SET state = kept.state, next_attempt_at = kept.next_attempt_at, settled_at = kept.settled_at,
    doubts = kept.doubts, doubt_reason = kept.doubt_reason, orphaned = kept.orphaned, trouble = kept.trouble,
    lane_epoch = NULL, claimed_at = NULL, staged_at = NULL
FROM {kept} WHERE d.id = kept.id
"""
_DIED: dict[str, Any] = {"phase": None, "cause": "died", "row": 17, "why": "courier_died", "facts": {}}


def put_back(
    lease: Lease, claims: Iterable[Claim], now: datetime, doubtful: Collection[str] = frozenset()
) -> None:
    """Return claims whose end of data did not go out, marked or not; a retry of a doubt returns to doubt.

    Args:
        lease: of the lane.
        claims: to be returned.
        now: when.
        doubtful: the attempts of which that is not certain: in doubt, if they were marked.
    """
    attempts = {claim.attempt for claim in claims}
    with writing():
        hold(lease)
        held = list(_held(lease).filter(attempt__in=attempts).select_related("message__stream"))
        staged = {one.attempt.hex for one in held if one.staged_at is not None}.intersection(doubtful)
        for delivery in held:
            if delivery.attempt.hex not in staged:
                delivery.staged_at = None
        _keep(held, [_let_go(one, "forced_shutdown", now, one.next_attempt_at) for one in held])
        allowance.spend(staged, now)
        allowance.give_back(attempts - staged)


def refuse_gone(lease: Lease, claim: Claim, now: datetime) -> None:
    """End a claim whose content retention removed: there is nothing left to send."""
    with writing():
        hold(lease)
        gone = list(_held(lease).filter(attempt=claim.attempt))
        _keep(gone, [_refuse_gone(delivery, now) for delivery in gone])
        dsn_due.mark((delivery.pk, delivery.state, delivery.notify) for delivery in gone)
        allowance.give_back([claim.attempt])


def recover(lease: Lease, now: datetime, schedule: RetrySchedule = ORDINARY) -> int:
    """What earlier holders of the lane left claimed: queued again, or in doubt where it was staged."""
    with writing():
        hold(lease)
        claimed = Delivery.objects.filter(
            connection_id=lease.connection_id, state=DeliveryState.CLAIMED, lane_epoch__lt=lease.epoch
        )
        left = list(claimed.select_related("message__stream"))
        staged = _attempts(one for one in left if one.staged_at is not None)
        for delivery in left:
            delivery.orphaned += 1
            delivery.trouble = delivery.trouble if delivery.staged_at else _DIED
        _keep(left, [_let_go(one, "worker_died", now, _after_orphaned(one, schedule, now)) for one in left])
        allowance.give_back(_attempts(left) - staged)
        allowance.spend_all(lease.connection_id, now)
        return len(left)


def _attempts(claimed: Iterable[Delivery]) -> set[str]:
    return {one.attempt.hex for one in claimed if one.attempt is not None}


def _after_orphaned(delivery: Delivery, schedule: RetrySchedule, now: datetime) -> datetime | None:
    """Where it stood, which is due; later, where it was orphaned before."""
    before = delivery.orphaned - 1
    return now + timedelta(seconds=nominal_delay(schedule, before)) if before else delivery.next_attempt_at


def _held(lease: Lease) -> Any:
    return Delivery.objects.filter(state=DeliveryState.CLAIMED, lane_epoch=lease.epoch)


def _let_go(delivery: Delivery, reason: str, now: datetime, again_at: datetime | None) -> Event:
    """Return what nobody works at any more: in doubt where its end of data may have gone out."""
    if delivery.staged_at is not None:
        return _doubt(delivery, reason, now)
    state = DeliveryState.IN_DOUBT if delivery.doubts else DeliveryState.QUEUED
    return _release(delivery, state, now, again_at, {"code": "put_back"})


def _refuse_gone(delivery: Delivery, now: datetime) -> Event:
    delivery.trouble = {"why": "content_gone", "facts": {}}
    # What may have arrived never expires (L6): a person decides.
    state = DeliveryState.IN_DOUBT if delivery.doubts else DeliveryState.EXPIRED
    return _release(delivery, state, now, None, {"code": state.value, "why": "content_gone"})


def _doubt(delivery: Delivery, reason: str, now: datetime) -> Event:
    delivery.doubts += 1
    delivery.doubt_reason = reason
    following = after_doubt(on_doubt(delivery.message), delivery.doubts, now)
    told = {"code": "in_doubt", "reason": reason, "trouble": delivery.trouble}
    if following is not None:
        told["next"] = following.isoformat()
    return _release(delivery, DeliveryState.IN_DOUBT, now, following, told)


def _release(
    delivery: Delivery,
    state: DeliveryState,
    now: datetime,
    next_attempt_at: datetime | None,
    detail: dict[str, Any],
) -> Event:
    """Give a claimed delivery another state; the answer is the event of that, both still to be kept."""
    delivery.state = state.value
    delivery.lane_epoch = delivery.claimed_at = delivery.staged_at = None
    delivery.next_attempt_at = next_attempt_at
    delivery.settled_at = now if state.terminal else None
    return Event(delivery=delivery, at=now, state=state.value, attempt=delivery.attempt, detail=detail)


def _keep(deliveries: Sequence[Delivery], events: Sequence[Event]) -> None:
    """Some hundreds of them at once, with the lane waiting."""
    kept = as_json({name: getattr(delivery, name) for name in _KEPT} for delivery in deliveries)
    execute(_KEEP.format(kept=recordset("kept", **_KEPT)), {"kept": kept})
    Event.objects.bulk_create(events)
