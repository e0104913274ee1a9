"""Messages: the list with its search, and one message with everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from vaguemestre.console.messages.preview import preview_of
from vaguemestre.console.messages.story import attempts_told, deliveries_told, events_told
from vaguemestre.console.pages import or_404
from vaguemestre.ledger import messages
from vaguemestre.ledger.contents import message_id
from vaguemestre.ledger.messages import Filter, deliveries_of, state_of
from vaguemestre.ledger.models import Delivery, Message
from vaguemestre.mail.state import DeliveryState, Health

PAGE = 50
STATES = tuple(state.value for state in DeliveryState)
WAITING = {DeliveryState.HELD, DeliveryState.QUEUED}
SOON = timedelta(seconds=10)
CANCELLABLE = WAITING | {DeliveryState.IN_DOUBT}


@dataclass(frozen=True)
class Row:
    """A message as the list shows it."""

    message: Message
    state: str
    recipients: tuple[str, ...]
    connection: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list, filtered and searched, one page of it."""
    state, search = request.GET.get("state", ""), request.GET.get("q", "").strip()
    wanted = Filter(state=state if state in STATES else "", search=search)
    page = messages.listing(wanted, request.GET.get("cursor"), PAGE)
    context = {
        "rows": [_row(message) for message in page.items],
        "states": STATES,
        "state": wanted.state,
        "search": search,
        "searched": urlencode({"q": search}) if search else "",
        "older": urlencode({"state": wanted.state, "q": search, "cursor": page.next}) if page.next else "",
        "later": bool(request.GET.get("cursor")),
    }
    if request.headers.get("HX-Request"):
        return render(request, "console/messages/results.html", context | {"oob": True})
    return render(request, "console/messages/index.html", context)


@require_safe
def detail(request: HttpRequest, uid: object) -> HttpResponse:
    """One message."""
    return detail_page(request, or_404(messages.find, uid))


def detail_page(request: HttpRequest, message: Message, status: int = 200, **more: Any) -> HttpResponse:
    """The page of a message."""
    deliveries = deliveries_of(message)
    states = {delivery.state for delivery in deliveries}
    context = {
        "message": message,
        "message_id": message_id(message, deliveries[0].route),
        "state": state_of(message),
        "deliveries": deliveries_told(deliveries),
        "routes": _routes(deliveries),
        "attempts": attempts_told(message),
        "events": events_told(message, len(deliveries)),
        "preview": preview_of(message),
        "page": uuid4().hex,
        "moving": any(map(_moves, deliveries)),
        "can_release": bool(states & WAITING),
        "can_cancel": bool(states & CANCELLABLE) and DeliveryState.CLAIMED not in states,
        "ended": all(DeliveryState(state).terminal for state in states),
        "doubtful": [delivery for delivery in deliveries if delivery.state == DeliveryState.IN_DOUBT],
        **more,
    }
    return render(request, "console/messages/detail.html", context, status=status)


def _moves(delivery: Delivery) -> bool:
    """Whether a look at it in some seconds may show something new."""
    if delivery.state != DeliveryState.QUEUED:
        return delivery.state == DeliveryState.CLAIMED
    ready = delivery.connection is not None and delivery.connection.health == Health.READY
    due = delivery.next_attempt_at is None or delivery.next_attempt_at <= timezone.now() + SOON
    return ready and due


def _row(message: Message) -> Row:
    deliveries = list(message.delivery_set.all())
    names = {delivery.connection.name for delivery in deliveries if delivery.connection}
    recipients = tuple(delivery.recipient for delivery in deliveries)
    return Row(message, state_of(message), recipients, ", ".join(sorted(names)))


def _routes(deliveries: list[Delivery]) -> list[Delivery]:
    """One delivery for each different answer of routing: mostly one in all."""
    return list(
        {str((delivery.connection_id, delivery.reason)): delivery for delivery in deliveries}.values()
    )
