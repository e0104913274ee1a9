"""Deciding about many held messages at once: as for one of them, but for at most `MOST` recipients in a go.

What a person was shown is what they decide about, by name: what is held since, or is not held any more, is
left alone, and a second click finds nothing. Each delivery's time line says who it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from vaguemestre.ledger import explanations, waits, wake
from vaguemestre.ledger.accept import decide, decision_columns
from vaguemestre.ledger.conditions import held
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.messages import Filter, matching
from vaguemestre.ledger.models import Delivery, Event, Message
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.decision import Route

MOST = 500  # recipients: one short transaction, and a page that can be read


@dataclass(frozen=True)
class Chosen:
    """Held messages, and how many recipients they are held for.

    Attributes:
        more: whether there are others like them.
    """

    messages: list[Message]
    recipients: int
    more: bool


@dataclass(frozen=True)
class Decided:
    """How many messages were released or cancelled, and how many of them still have no route."""

    done: int
    unrouted: int = 0


def chosen(search: str = "") -> Chosen:
    """The first held messages that are found so; one of more than `MOST` recipients by itself."""
    deliveries = Delivery.objects.filter(held()).order_by("message_id")
    if search:
        found = matching(Filter(state=DeliveryState.HELD.value, search=search)).order_by("pk")
        deliveries = deliveries.filter(message__in=[*found.values_list("pk", flat=True)[: MOST + 1]])
    of = [*deliveries.values_list("message_id", flat=True)[: MOST + 1]]
    more = len(of) > MOST
    whole = [message for message in of if message != of[-1]] or of[:MOST] if more else of
    recipients = deliveries.filter(message__in={*whole}).count()
    messages = Message.objects.filter(pk__in={*whole}).order_by("accepted_at", "pk")
    return Chosen([*messages.select_related("stream").prefetch_related("delivery_set")], recipients, more)


def release(messages: Collection[UUID], actor: str, now: datetime) -> Decided:
    """Route what of them is held, now, and let it go at once; what has no route stays held."""
    with writing():
        current = epoch()  # before all that routing asks, the streams included (L3)
        deliveries, configured = _locked(messages), configuration()
        decided = [(one, decide(one.message, one.message.stream, configured)) for one in deliveries]
        routed = [(one, decision_columns(to)) for one, to in decided if isinstance(to, Route)]
        kept = explanations.keep((explanations.of(columns) for _, columns in routed), current)
        _queue(routed, kept, current, now)
        waits.begin((delivery.pk, now) for delivery, _ in routed)
        _note([delivery for delivery, _ in routed], DeliveryState.QUEUED, "released", actor, now)
        wake.ring()
    released = {delivery.message_id for delivery, _ in routed}
    return Decided(len(released), len({one.message_id for one in deliveries} - released))


def _queue(
    routed: Collection[tuple[Delivery, dict[str, Any]]],
    kept: Mapping[bytes, int],
    current: int,
    now: datetime,
) -> None:
    """One statement for all that leave the same way: mostly one in all."""
    ways: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for delivery, columns in routed:
        explanation = kept[explanations.of(columns).digest]
        way = {
            "connection_id": columns["connection_id"],
            "route": columns["route"],
            "explanation_id": explanation,
        }
        ways.setdefault(json.dumps(way, sort_keys=True), (way, []))[1].append(delivery.pk)
    for way, some in ways.values():
        Delivery.objects.filter(pk__in=some).update(
            **way,
            state=DeliveryState.QUEUED.value,
            route_epoch=current,
            next_attempt_at=now,
            backup_for=None,
        )


def cancel(messages: Collection[UUID], actor: str, now: datetime) -> Decided:
    """End what of them is held."""
    with writing():
        deliveries = _locked(messages)
        Delivery.objects.filter(pk__in=[one.pk for one in deliveries]).update(
            state=DeliveryState.CANCELLED.value, settled_at=now, next_attempt_at=None
        )
        _note(deliveries, DeliveryState.CANCELLED, "cancelled", actor, now)
    return Decided(len({delivery.message_id for delivery in deliveries}))


def _locked(messages: Collection[UUID]) -> list[Delivery]:
    found = Delivery.objects.filter(held(), message__uid__in=messages).order_by("pk")
    return [*found.select_related("message__stream", "message__explicit").select_for_update(of=("self",))]


def _note(some: Collection[Delivery], state: DeliveryState, code: str, actor: str, now: datetime) -> None:
    detail = {"code": code, "actor": actor}
    Event.objects.bulk_create(
        Event(delivery=one, at=now, state=state.value, attempt=one.attempt, detail=detail) for one in some
    )
