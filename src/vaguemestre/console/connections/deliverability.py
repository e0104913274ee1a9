"""Whether mail of a connection arrives: its sender's domain examined on demand, and a receiver's word read.

Nothing is asked before the reader wants it, and nothing that is pasted is kept.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from vaguemestre.console.pages import or_404
from vaguemestre.deliverability.examination import Busy, examine
from vaguemestre.deliverability.reading import lines
from vaguemestre.deliverability.wording import as_json
from vaguemestre.ledger import connections
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.authentication_results import LONGEST, read


@require_safe
def index(request: HttpRequest, uid: object) -> HttpResponse:
    """What can be found out."""
    return _page(request, or_404(connections.find, uid))


@require_POST
def examine_domain(request: HttpRequest, uid: object) -> HttpResponse:
    """Ask DNS, and say what is found."""
    connection = or_404(connections.find, uid)
    try:
        found = as_json(examine(connection, timezone.now().date(), resolvers=settings.ENVIRONMENT.resolvers))
    except Busy:
        return _page(request, connection, busy=True)
    return _page(request, connection, points=found["points"])


@require_POST
def read_results(request: HttpRequest, uid: object) -> HttpResponse:
    """Read the Authentication-Results that were pasted."""
    connection = or_404(connections.find, uid)
    pasted = request.POST.get("results", "")[:LONGEST]
    reading = read(pasted)
    if reading is None:
        fault = _("There is no Authentication-Results in this text. Copy all of the message’s source.")
        return _page(request, connection, status=422, pasted=pasted, fault=fault)
    told = lines(reading, _domain(connection))
    return _page(request, connection, pasted=pasted, reading=reading, told=told)


def _domain(connection: Connection) -> str:
    return Mailbox.parse(connection.sender_ascii, "sender_email").domain_ascii


def _page(request: HttpRequest, connection: Connection, status: int = 200, **found: Any) -> HttpResponse:
    context = {"connection": connection, "domain": _domain(connection), **found}
    return render(request, "console/connections/deliverability.html", context, status=status)
