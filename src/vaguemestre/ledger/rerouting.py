"""Re-routing and expiry: what a courier does to deliveries that nobody claims.

A change of connections, streams or mode bumps the routing epoch and is done; couriers bring the waiting
deliveries up to it in batches (L3). The answer may move a delivery to another connection, hold it, or set a
held one free. A delivery in doubt keeps its connection, From and Reply-To: if routing would now answer
otherwise, it waits for a person (L6). What a backup was to carry is its first connection's again: whether
the backup still serves is asked anew (`backups`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from vaguemestre.ledger import dsn_due, explanations, waits
from vaguemestre.ledger.accept import asked, decision_columns, named, rank_of, routing_detail
from vaguemestre.ledger.conditions import waiting
from vaguemestre.ledger.database import on_postgresql, stored, writing
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.models import Delivery, Event
from vaguemestre.ledger.statements import concern
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value
from vaguemestre.policy.backup import stand_in
from vaguemestre.policy.routing import Configuration, Decision, Request, Route, route

BATCH = 500  # deliveries of one transaction

_REROUTE = """
UPDATE ledger_delivery AS d
SET state = given.state, connection_id = given.connection, route = given.route, backup_for_id = given.backup,
    explanation_id = given.explanation, rank = given.rank, next_attempt_at = given.next_attempt_at,
    route_epoch = %s
FROM given WHERE d.id = given.delivery
"""
_REROUTED = {
    "delivery": "bigint", "state": "text", "connection": "bigint", "route": "jsonb", "backup": "bigint",
    "explanation": "bigint", "rank": "smallint", "next_attempt_at": "timestamptz",
}  # fmt: skip


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
        answers = _Answers(configured)
        found = [answers.to(delivery) for delivery in deliveries]
        kept = explanations.keep([answer.explained for answer in found], current)
        held = [delivery for delivery in deliveries if delivery.state == DeliveryState.HELD]
        told = [
            event
            for delivery, answer in zip(deliveries, found, strict=True)
            for event in _moved(delivery, answer, kept[answer.explained.digest], now)
        ]
        concern(_REROUTE, _REROUTED, [_row(delivery) for delivery in deliveries], current)
        Event.objects.bulk_create(told)
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
        expired = DeliveryState.EXPIRED.value
        ids = [delivery.pk for delivery in ended]
        Delivery.objects.filter(pk__in=ids).update(state=expired, settled_at=now, next_attempt_at=None)
        for delivery in ended:
            delivery.state = expired
        detail = {"code": "expired", "why": "expires_at"}
        Event.objects.bulk_create(_event(delivery, now, detail) for delivery in ended)
        dsn_due.mark((delivery.pk, delivery.state, delivery.notify) for delivery in ended)
        return len(ended)


def _stale(current: int) -> Any:
    return Delivery.objects.filter(waiting(), route_epoch__lt=current)


@value
class _Answer:
    """Where a delivery goes, and why."""

    columns: Mapping[str, Any]
    explained: explanations.Explained


class _Answers:
    """Of routing under a configuration, each worked out once: most messages ask what others did."""

    def __init__(self, configured: Configuration) -> None:
        self._configured = configured
        self._known: dict[Request, _Answer] = {}

    def to(self, delivery: Delivery) -> _Answer:
        """Where it goes; one in doubt by way of the backup that carried it, where that is one still."""
        request = asked(delivery.message, delivery.message.stream)
        if delivery.state == DeliveryState.IN_DOUBT:
            decision = _as_it_left(delivery, route(request, self._configured), self._configured)
            return _answer(decision)
        if request not in self._known:
            self._known[request] = _answer(route(request, self._configured))
        return self._known[request]


def _answer(decision: Decision) -> _Answer:
    columns = decision_columns(decision)
    return _Answer(columns, explanations.of(columns))


def _row(delivery: Delivery) -> tuple[Any, ...]:
    """Of `_REROUTED`."""
    return (
        delivery.pk,
        delivery.state,
        delivery.connection_id,
        None if delivery.route is None else json.dumps(delivery.route),
        delivery.backup_for_id,
        delivery.explanation_id,
        delivery.rank,
        stored(delivery.next_attempt_at),
    )


def _moved(delivery: Delivery, answer: _Answer, explanation: int, now: datetime) -> Iterator[Event]:
    if delivery.state == DeliveryState.IN_DOUBT:
        yield from _kept_in_doubt(delivery, answer.columns, now)
        return
    columns = answer.columns
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
    if before != (delivery.state, delivery.connection_id, delivery.route, columns["reason"]["code"]):
        yield _event(delivery, now, routing_detail("routed", columns))


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


def _kept_in_doubt(delivery: Delivery, columns: Mapping[str, Any], now: datetime) -> Iterator[Event]:
    same = (columns["connection_id"], columns["route"]) == (delivery.connection_id, delivery.route)
    if not same and delivery.next_attempt_at is not None:
        delivery.next_attempt_at = None
        yield _event(delivery, now, {"code": "waits_for_person", "reason": columns["reason"]["code"]})


def _event(delivery: Delivery, now: datetime, detail: dict[str, Any]) -> Event:
    return Event(delivery=delivery, at=now, state=delivery.state, detail=detail)
