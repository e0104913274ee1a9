"""Send me a test message: an ordinary one, to the reader's own address, followed on the connection's page.

It needs no script: the page is then read again by hand, and its state stands there with a link to the
message, which knows the rest.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from vaguemestre.console.messages.story import DeliveryTold, deliveries_told
from vaguemestre.console.pages import or_404
from vaguemestre.ledger import connections, messages, trial_message
from vaguemestre.ledger.models import Connection, Message
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.refusals import Missing
from vaguemestre.ledger.submission import Via
from vaguemestre.mail.state import DeliveryState


@dataclass(frozen=True)
class Trial:
    """A test message as the connection's page shows it.

    Attributes:
        state: of the message.
        deliveries: to the one recipient there is.
        over: whether nothing more will happen to it by itself.
    """

    message: Message
    state: str
    deliveries: list[DeliveryTold]
    over: bool


@require_POST
def send(request: HttpRequest, uid: object) -> HttpResponse:
    """Hand one over, and follow it."""
    connection = or_404(connections.find, uid)
    reader = address_of(request.user)
    if reader is None:
        raise Http404("an account without an address")
    message = trial_message.send(connection, reader, Via.CONSOLE, timezone.now())
    if request.headers.get("HX-Request"):
        return _followed(request, connection, message)
    page = reverse("connections:edit", kwargs={"uid": connection.uid})
    return redirect(f"{page}?test={message.uid}#test")


@require_safe
def follow(request: HttpRequest, uid: object, message: object) -> HttpResponse:
    """How far it is, as a part of the page."""
    return _followed(request, or_404(connections.find, uid), or_404(messages.find, message))


def trial_told(connection: Connection, asked: str | None) -> dict[str, Any]:
    """For the page: whether a test message would leave through this connection, and the one just sent."""
    carrier = trial_message.carrier(connection)
    told: dict[str, Any] = {"carries": carrier == connection, "carrier": carrier}
    with contextlib.suppress(Missing):  # an old address of the page, after the message has gone
        told["trial"] = _trial(messages.find(asked)) if asked else None
    return told


def _followed(request: HttpRequest, connection: Connection, message: Message) -> HttpResponse:
    context = {"connection": connection, "trial": _trial(message)}
    return render(request, "console/connections/trial.html", context)


def _trial(message: Message) -> Trial:
    found = messages.deliveries_of(message)
    over = all(DeliveryState(one.state).terminal or one.state == DeliveryState.IN_DOUBT for one in found)
    return Trial(message, messages.state_of(message), deliveries_told(found, timezone.now()), over)
