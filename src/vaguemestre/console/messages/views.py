"""Messages: the list with its search, and one message with everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from vaguemestre.console.messages.preview import preview_of
from vaguemestre.console.messages.story import DeliveryTold, attempts_told, deliveries_told, events_told
from vaguemestre.console.pages import or_404
from vaguemestre.ledger import dsn, messages
from vaguemestre.ledger.contents import message_id
from vaguemestre.ledger.messages import Filter, deliveries_of, state_of
from vaguemestre.ledger.models import Delivery, Message
from vaguemestre.ledger.stream_wording import rules_told
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.outlook import Outlook, OutlookCode

PAGE = 50
STATES = tuple(state.value for state in DeliveryState)
WAITING = {DeliveryState.HELD, DeliveryState.QUEUED}
SOON = timedelta(seconds=10)
OFTEN, SELDOM = 3, 10  # seconds
MOVING = {
    OutlookCode.LEAVES_NOW,
    OutlookCode.LEAVES_BY_BACKUP,
    OutlookCode.HANDING_OVER,
    OutlookCode.AWAITING_ANSWER,
    OutlookCode.REROUTING,
    OutlookCode.UNSERVED,
    OutlookCode.PROBING,
}
CANCELLABLE = WAITING | {DeliveryState.IN_DOUBT}


@dataclass(frozen=True)
class Row:
    """A message as the list shows it."""

    message: Message
    state: str
    recipients: tuple[str, ...]
    connection: str


# Else a browser that goes back shows the part that the search had fetched from the same address.
@vary_on_headers("HX-Request")
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


@vary_on_headers("HX-Request")
@require_safe
def detail(request: HttpRequest, uid: object) -> HttpResponse:
    """One message."""
    return detail_page(request, or_404(messages.find, uid))


def detail_page(request: HttpRequest, message: Message, status: int = 200, **more: Any) -> HttpResponse:
    """The page of a message."""
    deliveries, now = deliveries_of(message), timezone.now()
    told = deliveries_told(deliveries, now)
    states = {delivery.state for delivery in deliveries}
    context = {
        "message": message,
        "message_id": message_id(message, deliveries[0].route),
        "state": state_of(message),
        "deliveries": told,
        "routes": [(one, rules_told(one.rules)) for one in _routes(deliveries)],
        "attempts": attempts_told(message),
        "events": events_told(message, len(deliveries)),
        "preview": preview_of(message),
        "page": uuid4().hex,
        "reports_on": dsn.about(message),
        "look_again": min((_look_again(one.outlook, now) for one in told if _waits(one)), default=None),
        "can_release": bool(states & WAITING),
        "can_cancel": bool(states & CANCELLABLE) and DeliveryState.CLAIMED not in states,
        "ended": all(DeliveryState(state).terminal for state in states),
        "doubtful": [delivery for delivery in deliveries if delivery.state == DeliveryState.IN_DOUBT],
        **more,
    }
    return render(request, "console/messages/detail.html", context, status=status)


def _waits(one: DeliveryTold) -> bool:
    return not DeliveryState(one.delivery.state).terminal


def _look_again(outlook: Outlook, now: datetime) -> int:
    """Seconds until a look may show something new: few while it moves or is about to."""
    soon = outlook.at is not None and outlook.at <= now + SOON
    return OFTEN if soon or outlook.code in MOVING else SELDOM


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
