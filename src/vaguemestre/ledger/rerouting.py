"""Re-routing and expiry: what a courier does to deliveries that nobody claims.

A change of connections, streams or mode bumps the routing epoch and is done; couriers bring the waiting
deliveries up to it in batches (L3). The answer may move a delivery to another connection, hold it, or set a
held one free. A delivery in doubt keeps its connection, From and Reply-To: if routing would now answer
otherwise, it waits for a person (L6). What a backup was to carry is its first connection's again: whether
the backup still serves is asked anew (`backups`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from vaguemestre.ledger import dsn_due, explanations, waits
from vaguemestre.ledger.accept import decide, decision_columns, named, rank_of, routing_detail
from vaguemestre.ledger.conditions import waiting
from vaguemestre.ledger.database import on_postgresql, writing
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.models import Delivery, Event
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.backup import stand_in
from vaguemestre.policy.routing import Configuration, Decision, Route

BATCH = 500  # deliveries of one transaction


def reroute(now: datetime, limit: int = BATCH) -> int:
    """Route up to `limit` deliveries of an older epoch anew; the answer is how many there were."""
    # Asked without a transaction first: nearly always there is nothing, and a write lock is dear.
    if not _stale(epoch()).exists():
        return 0
    with writing():
        current = epoch()
        stale = _stale(current).select_related("message__stream", "message__explicit", "explanation")
        if on_postgresql():
            stale = stale.select_for_update(skip_locked=True, of=("self",))
        configured = configuration()
        deliveries = list(stale.order_by("id")[:limit])
        answers = [_columns(delivery, configured) for delivery in deliveries]
        kept = explanations.keep(map(explanations.of, answers), current)
        held = [delivery for delivery in deliveries if delivery.state == DeliveryState.HELD]
        for delivery, columns in zip(deliveries, answers, strict=True):
            delivery.route_epoch = current
            if delivery.state == DeliveryState.IN_DOUBT:
                _keep_in_doubt(delivery, columns, now)
            else:
                _move(delivery, columns, kept[explanations.of(columns).digest], now)
        waits.begin(_set_free(held, now))
        return len(deliveries)


def expire(now: datetime, limit: int = BATCH) -> int:
    """End what its submitter wanted ended by now, in any state but doubt; the answer is how many."""
    over = Delivery.objects.filter(
        expires_at__lte=now, settled_at=None, state__in=[DeliveryState.QUEUED, DeliveryState.HELD]
    )
    if not over.exists():
        return 0
    with writing():
        ended = list(over.select_for_update(skip_locked=True)[:limit] if on_postgresql() else over[:limit])
        for delivery in ended:
            delivery.state, delivery.settled_at = DeliveryState.EXPIRED.value, now
            delivery.next_attempt_at = None
            delivery.save()
            _event(delivery, now, {"code": "expired", "why": "expires_at"})
        dsn_due.mark((delivery.pk, delivery.state, delivery.notify) for delivery in ended)
        return len(ended)


def _stale(current: int) -> Any:
    return Delivery.objects.filter(waiting(), route_epoch__lt=current)


def _columns(delivery: Delivery, configured: Configuration) -> dict[str, Any]:
    decision = decide(delivery.message, delivery.message.stream, configured)
    if delivery.state == DeliveryState.IN_DOUBT:
        decision = _as_it_left(delivery, decision, configured)
    return decision_columns(decision)


def _move(delivery: Delivery, columns: dict[str, Any], explanation: int, now: datetime) -> None:
    # The reason's facts hold names for people; a new name is no new answer.
    before = (delivery.state, delivery.connection_id, delivery.route, delivery.reason["code"])
    delivery.connection_id, delivery.route, delivery.backup_for = (
        columns["connection_id"],
        columns["route"],
        None,
    )
    delivery.explanation_id = explanation
    routed = delivery.connection_id is not None
    delivery.rank = rank_of(delivery.message.stream)
    delivery.state = (DeliveryState.QUEUED if routed else DeliveryState.HELD).value
    delivery.next_attempt_at = delivery.next_attempt_at or now
    delivery.save()
    if before != (delivery.state, delivery.connection_id, delivery.route, columns["reason"]["code"]):
        _event(delivery, now, routing_detail("routed", columns))


def _set_free(held: Iterable[Delivery], now: datetime) -> Iterator[tuple[int, datetime]]:
    """Of what was held, what is not any more, and since when it waits."""
    for delivery in held:
        if delivery.state == DeliveryState.QUEUED and delivery.next_attempt_at is not None:
            yield delivery.pk, max(now, delivery.next_attempt_at)


def _as_it_left(delivery: Delivery, decision: Decision, configured: Configuration) -> Decision:
    """What routing answers now; by way of the backup that carried it, where that one is still the backup."""
    if isinstance(decision, Route) and decision.connection_id == delivery.backup_for_id:
        first = configured.find(decision.connection_id)
        backup = None if first is None or first.backup is None else configured.find(first.backup)
        if backup is not None and backup.active:
            return stand_in(decision, backup, named(delivery.message.header_from))
    return decision


def _keep_in_doubt(delivery: Delivery, columns: dict[str, Any], now: datetime) -> None:
    same = (columns["connection_id"], columns["route"]) == (delivery.connection_id, delivery.route)
    if not same and delivery.next_attempt_at is not None:
        delivery.next_attempt_at = None
        _event(delivery, now, {"code": "waits_for_person", "reason": columns["reason"]["code"]})
    delivery.save()


def _event(delivery: Delivery, now: datetime, detail: dict[str, Any]) -> None:
    Event.objects.create(delivery=delivery, at=now, state=delivery.state, detail=detail)
