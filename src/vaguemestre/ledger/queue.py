"""The queue: claim, stage, settle. The transitions of a delivery while a courier holds it.

Every function is one transaction that first makes sure of the lane's lease (its epoch), so that a stale
courier writes nothing. `stage` is the durable mark that goes before an end of data (L6): it also checks the
routing epoch and that the connection is active (L3). What was staged and has no recorded outcome is in doubt;
`recover` finds it when a lane changes hands.

Fails with `Stale`: the lease, the route or the connection is not what it was; nothing was written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from vaguemestre.ledger.allowance import allowance, use
from vaguemestre.ledger.database import chunked, for_share, for_update, rows, writing
from vaguemestre.ledger.doubts import after_doubt
from vaguemestre.ledger.health import health_columns
from vaguemestre.ledger.identity import new_id
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Event, Message
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.health import HealthState

# The lease is ours, and stays so until this transaction ends.
_HOLD = "SELECT 1 FROM ledger_lane WHERE connection_id = %(connection)s AND epoch = %(epoch)s"

# What is due on a lane, in the order of acceptance; only what was routed at the present epoch (L3).
_DUE = """
SELECT d.id, d.message_id FROM ledger_delivery d
WHERE d.connection_id = %(connection)s AND d.state IN ('queued', 'in_doubt') AND d.next_attempt_at <= %(now)s
  AND d.route_epoch = (SELECT routing_epoch FROM ledger_instance)
  AND (d.state = 'in_doubt' OR d.expires_at IS NULL OR d.expires_at > %(now)s)
ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s
"""

# The mark before the dot. It holds the connection and the instance row, so that a change of the routing comes
# before or after; in this order, which is every such change's, so that they never wait for each other.
_ACTIVE = "SELECT 1 FROM ledger_connection WHERE id = %(connection)s AND active"
_ROUTING = "SELECT routing_epoch FROM ledger_instance"


class Stale(Exception):
    """What this courier believes is not so any more; it must let go."""


@dataclass(frozen=True)
class Duty:
    """One delivery in a courier's hands.

    Attributes:
        spent: seconds of delay that count towards `retry_age`.
        doubts: above 0, this is the retry of a delivery in doubt (L6).
    """

    id: int
    recipient: str
    counted: int
    spent: float
    retry_age: float
    doubts: int


@dataclass(frozen=True)
class Claim:
    """Deliveries of one message that travel in one transaction.

    Attributes:
        route: as `Delivery.route` keeps it.
        size: bytes of the content as accepted.
    """

    attempt: UUID
    message_id: int
    route: dict[str, Any]
    size: int
    duties: tuple[Duty, ...]


@dataclass(frozen=True)
class Settlement:
    """What an attempt did to one delivery.

    Attributes:
        state: the delivery's next state.
        reply: the server's words, if any.
        trouble: what the message's page explains: {"phase", "cause", "row", "why", "facts"}.
        delay: seconds until the next try, for `queued`, and for `in_doubt` that is tried again.
        counted: whether `delay` counts towards expiry.
        doubt: why it is in doubt, for `in_doubt`.
    """

    delivery: int
    state: DeliveryState
    reply: Reply | None = None
    trouble: dict[str, Any] | None = None
    delay_until: datetime | None = None
    delay: float = 0.0
    counted: bool = False
    doubt: str = ""


@dataclass(frozen=True)
class Report:
    """An attempt, as it is kept.

    Attributes:
        steps: the transcript as JSON.
        health: the connection's health afterwards; None leaves it.
    """

    claim: Claim
    started_at: datetime
    staged_at: datetime | None
    connection_version: int
    peer: str
    tls: str
    steps: Sequence[dict[str, Any]]
    settlements: tuple[Settlement, ...]
    health: HealthState | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def claim(lease: Lease, limit: int, now: datetime) -> list[Claim]:
    """Take what is due on a lane, by message: at most `limit` deliveries, and what the connection leaves.

    Args:
        lease: of the lane.
        limit: deliveries at most.
        now: what is due by then.

    Raises:
        Stale: the lease is somebody else's.
    """
    with writing():
        _hold(lease)
        left = allowance(lease.connection_id, now)
        room = limit if left.recipients is None else min(limit, left.recipients)
        if room == 0 or left.messages == 0:
            return []
        due = rows(_DUE + for_update(), {"connection": lease.connection_id, "now": now, "limit": room})
        if not due:
            return []
        groups = _grouped(Delivery.objects.in_bulk([row["id"] for row in due]), due)
        pieces = [piece for group in groups for piece in chunked(group, left.most or len(group))]
        claims = [_take(lease, piece, now) for piece in pieces[: left.messages]]
        if left.limited:
            use(lease.connection_id, len(claims), sum(len(taken.duties) for taken in claims), now)
        return claims


def stage(lease: Lease, taken: Claim, now: datetime, recipients: Collection[str] | None = None) -> None:
    """Mark a claim as about to be acknowledged: committed before the end of data goes out.

    Args:
        lease: of the lane.
        taken: the claim.
        now: the time of the mark.
        recipients: those whom the server took at RCPT; the others cannot be in doubt. None means all.

    Raises:
        Stale: the lease, the route or the connection changed; the end of data must not be sent.
    """
    with writing():
        _hold(lease)
        if not rows(_ACTIVE + for_share(), {"connection": lease.connection_id}):
            raise Stale("the connection is not active any more")
        routing = rows(_ROUTING + for_share(), {})
        staged = [duty.id for duty in taken.duties if recipients is None or duty.recipient in recipients]
        ours = Delivery.objects.filter(
            attempt=taken.attempt,
            state=DeliveryState.CLAIMED,
            lane_epoch=lease.epoch,
            route_epoch=routing[0]["routing_epoch"],
            connection_id=lease.connection_id,
            pk__in=staged,
        )
        if ours.update(staged_at=now) != len(staged):
            raise Stale("the route changed")


def settle(lease: Lease, report: Report, now: datetime) -> None:
    """Record what an attempt did, once, with its transcript and the connection's health.

    Raises:
        Stale: the lease is somebody else's; nothing was written.
        ValueError: a delivery of the claim has no settlement: it would stay claimed.
    """
    settled = {settlement.delivery for settlement in report.settlements}
    if settled != {duty.id for duty in report.claim.duties}:
        raise ValueError("an attempt settles each delivery of its claim")
    with writing():
        _hold(lease)
        _keep_attempt(lease, report, now)
        for settlement in report.settlements:
            _apply(lease, report, settlement, now)
        if report.health is not None:
            keep_health(lease.connection_id, report.connection_version, report.health)


def put_back(lease: Lease, claims: Iterable[Claim], now: datetime) -> None:
    """Return claims that were not begun; a retry of a doubt returns to doubt, and so does what was staged."""
    with writing():
        _hold(lease)
        held = Delivery.objects.filter(
            attempt__in=[taken.attempt for taken in claims],
            state=DeliveryState.CLAIMED,
            lane_epoch=lease.epoch,
        )
        unused = list(held.select_related("message__stream"))
        for delivery in unused:
            _let_go(delivery, "forced_shutdown", now)
        if unused and allowance(lease.connection_id, now).limited:
            transactions = len({delivery.attempt for delivery in unused})
            use(lease.connection_id, -transactions, -len(unused), now)


def refuse_gone(lease: Lease, taken: Claim, now: datetime) -> None:
    """End a claim whose content retention removed: there is nothing left to send."""
    with writing():
        _hold(lease)
        held = Delivery.objects.filter(
            attempt=taken.attempt, state=DeliveryState.CLAIMED, lane_epoch=lease.epoch
        )
        for delivery in held:
            delivery.trouble = {"why": "content_gone", "facts": {}}
            # What may have arrived never expires (L6): a person decides.
            state = DeliveryState.IN_DOUBT if delivery.doubts else DeliveryState.EXPIRED
            _release(delivery, state, now, None, {"code": state.value, "why": "content_gone"})


def recover(lease: Lease, now: datetime) -> int:
    """What earlier holders of the lane left claimed: queued again, or in doubt where it was staged."""
    with writing():
        _hold(lease)
        left = Delivery.objects.filter(
            connection_id=lease.connection_id, state=DeliveryState.CLAIMED, lane_epoch__lt=lease.epoch
        ).select_related("message__stream")
        for delivery in left:
            _let_go(delivery, "worker_died", now)
        return len(left)


def keep_health(connection_id: int, version: int, health: HealthState) -> None:
    """Store a connection's health. A person's pause stays, and other settings are not blamed."""
    unpaused = Connection.objects.filter(pk=connection_id, version=version).exclude(health="paused")
    unpaused.update(**health_columns(health))


def _hold(lease: Lease) -> None:
    if not rows(_HOLD + for_share(), {"connection": lease.connection_id, "epoch": lease.epoch}):
        raise Stale("the lane is held by another courier")


def _grouped(found: dict[int, Delivery], due: Sequence[dict[str, Any]]) -> list[list[Delivery]]:
    """By message, in order; a retry of a doubt travels apart from what was never tried."""
    groups: dict[tuple[int, bool, str], list[Delivery]] = {}
    for row in due:
        delivery = found[row["id"]]
        key = (delivery.message_id, delivery.doubts > 0, str(delivery.route))
        groups.setdefault(key, []).append(delivery)
    return list(groups.values())


def _take(lease: Lease, deliveries: Sequence[Delivery], now: datetime) -> Claim:
    attempt = new_id()
    message = Message.objects.only("size").get(pk=deliveries[0].message_id)
    Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries]).update(
        state=DeliveryState.CLAIMED.value, lane_epoch=lease.epoch, claimed_at=now, attempt=attempt
    )
    duties = tuple(
        Duty(
            delivery.pk,
            delivery.recipient,
            delivery.counted,
            delivery.spent,
            delivery.retry_age,
            delivery.doubts,
        )
        for delivery in deliveries
    )
    return Claim(attempt, message.pk, dict(deliveries[0].route or {}), message.size, duties)


def _keep_attempt(lease: Lease, report: Report, now: datetime) -> None:
    Attempt.objects.create(
        uid=report.claim.attempt,
        message_id=report.claim.message_id,
        connection_id=lease.connection_id,
        connection_version=report.connection_version,
        lane_epoch=lease.epoch,
        started_at=report.started_at,
        staged_at=report.staged_at,
        ended_at=now,
        peer=report.peer,
        tls=report.tls,
        steps=list(report.steps),
    )


def _apply(lease: Lease, report: Report, settlement: Settlement, now: datetime) -> None:
    held = Delivery.objects.filter(
        pk=settlement.delivery,
        state=DeliveryState.CLAIMED,
        lane_epoch=lease.epoch,
        attempt=report.claim.attempt,
    )
    delivery = held.select_related("message__stream").first()
    if delivery is None:
        raise Stale("the delivery was taken from this courier")
    _note_words(delivery, settlement)
    if settlement.state is DeliveryState.IN_DOUBT and settlement.doubt:
        _doubt(delivery, settlement.doubt, now)
        return
    if settlement.counted:
        delivery.counted += 1
        delivery.spent += settlement.delay
    _release(delivery, settlement.state, now, settlement.delay_until, _words(settlement))


def _note_words(delivery: Delivery, settlement: Settlement) -> None:
    if settlement.reply is not None:
        delivery.last_code, delivery.last_text = settlement.reply.code, settlement.reply.text
    delivery.trouble = settlement.trouble


def _words(settlement: Settlement) -> dict[str, Any]:
    reply = settlement.reply
    return {
        "code": "attempt",
        "reply": None if reply is None else {"code": reply.code, "text": reply.text},
        "trouble": settlement.trouble,
        "next": None if settlement.delay_until is None else settlement.delay_until.isoformat(),
    }


def _release(
    delivery: Delivery,
    state: DeliveryState,
    now: datetime,
    next_attempt_at: datetime | None,
    detail: dict[str, Any],
) -> None:
    """Move a claimed delivery to another state, with its event."""
    attempt = delivery.attempt
    delivery.state = state.value
    delivery.lane_epoch = delivery.claimed_at = delivery.staged_at = None
    delivery.next_attempt_at = next_attempt_at
    delivery.settled_at = now if state.terminal else None
    delivery.save()
    Event.objects.create(delivery=delivery, at=now, state=state.value, attempt=attempt, detail=detail)


def _let_go(delivery: Delivery, reason: str, now: datetime) -> None:
    """Return what nobody works at any more: in doubt where its end of data may have gone out."""
    if delivery.staged_at is None:
        _unclaim(delivery, now)
    else:
        _doubt(delivery, reason, now)


def _unclaim(delivery: Delivery, now: datetime) -> None:
    state = DeliveryState.IN_DOUBT if delivery.doubts else DeliveryState.QUEUED
    _release(delivery, state, now, now, {"code": "put_back"})


def _doubt(delivery: Delivery, reason: str, now: datetime) -> None:
    delivery.doubts += 1
    delivery.doubt_reason = reason
    next_attempt_at = after_doubt(delivery, now)
    detail = {
        "code": "in_doubt",
        "reason": reason,
        "trouble": delivery.trouble,
        "next": None if next_attempt_at is None else next_attempt_at.isoformat(),
    }
    _release(delivery, DeliveryState.IN_DOUBT, now, next_attempt_at, detail)
