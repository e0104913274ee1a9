"""Before a connection becomes the default: what that changes. And undoing it, for a day.

The form asks when its box is ticked, with what is typed; the list's and the page's button lead to a page of
its own. Whether the new sender's domain vouches for it is asked of DNS behind the page, since that takes
seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from vaguemestre.console import kept
from vaguemestre.console.connections import listing
from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.console.pages import actor, or_404
from vaguemestre.deliverability.examination import Busy, examine
from vaguemestre.deliverability.wording import as_json
from vaguemestre.ledger import connections, foresight, undoing
from vaguemestre.ledger.foresight import DAYS
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.routing import ConnectionFacts

NEW = 0  # the primary key of no connection


@require_http_methods(["GET", "HEAD", "POST"])
def name_default(request: HttpRequest, uid: object) -> HttpResponse:
    """What would change, and the button that does it."""
    if request.method == "POST":
        return listing.name_default(request, uid)
    connection = or_404(connections.find, uid)
    context = {"connection": connection, **_told(foresight.facts_of(connection), connection.host)}
    return render(request, "console/connections/default.html", context)


@kept.typed(password=gettext_noop("SMTP password"))
@never_cache
@sensitive_post_parameters("password")
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What the ticked box would change, with the sender as typed."""
    ticked = "is_default" in request.POST
    if not ticked and request.headers.get("HX-Request"):
        return HttpResponse()
    uid = request.POST.get("uid")
    connection = or_404(connections.find, uid) if uid else None
    try:
        context = _told(_typed(request, connection), request.POST.get("host", "")) | {"in_form": True}
    except Invalid:
        context = {"unready": True}
    if request.headers.get("HX-Request"):
        return render(request, "console/connections/default_preview.html", context)
    return form_page(request, ConnectionForm(request.POST), connection, **context)


@never_cache
@sensitive_post_parameters("password")
@require_POST
def vouching(request: HttpRequest) -> HttpResponse:
    """Whether the domain of the new sender vouches for it (SPF, DMARC): a piece of the preview."""
    context: dict[str, Any]
    try:
        sender = Mailbox.parse(request.POST.get("sender_email", ""), "sender_email")
        asked = Connection(sender_ascii=sender.wire, host=canonical_host(request.POST.get("host", "")))
        found = as_json(examine(asked, timezone.now().date(), resolvers=settings.ENVIRONMENT.resolvers))
        points = [point for point in found["points"] if point["subject"] in {"spf", "dmarc", "domain"}]
        context = {"domain": found["domain"], "points": points}
    except (Busy, Invalid):
        context = {"busy": True}
    return render(request, "console/connections/vouching.html", context)


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Give the role back to whoever had it."""
    try:
        saved = undoing.undo(actor(request), timezone.now())
    except Conflict as conflict:
        messages.error(request, describe(conflict))
        return redirect("connections:index")
    name = {"name": saved.connection.name}
    if saved.connection.is_default:
        messages.success(request, _("“%(name)s” is the default sender again.") % name)
    else:
        words = _("“%(demoted)s” is no longer the default; it stays active.")
        messages.success(request, words % {"demoted": saved.connection.name})
    return redirect("connections:index")


def _told(chosen: ConnectionFacts, host: str) -> dict[str, Any]:
    found = foresight.of_default(chosen, timezone.now())
    return {"preview": found, "days": DAYS, "sender_email": chosen.sender.address, "host": host}


def _typed(request: HttpRequest, connection: Connection | None) -> ConnectionFacts:
    """The connection as it would be saved, as far as recipients see it."""
    sender = Mailbox.parse(request.POST.get("sender_email", ""), "sender_email")
    reply_to = request.POST.get("reply_to", "")
    blank = ConnectionFacts(NEW, request.POST.get("name", ""), sender)
    known = blank if connection is None else foresight.facts_of(connection)
    return replace(
        known,
        sender=sender,
        sender_name=request.POST.get("sender_name", ""),
        reply_to=Mailbox.parse(reply_to, "reply_to").address if reply_to else "",
    )
