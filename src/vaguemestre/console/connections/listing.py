"""The list of connections: what rules now, and each connection's state at a glance.

The switch, the default and the pause are forms that work without a script; with one, only the list is
replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import connections, instance, undoing, verifications
from vaguemestre.ledger.connections import Saved
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.ledger.verifications import VerificationState
from vaguemestre.ledger.volumes import volumes
from vaguemestre.ledger.wording import describe

type Change = Callable[[str, str, datetime], Saved]


@dataclass(frozen=True)
class Row:
    """A connection as the list shows it."""

    connection: Connection
    verification: VerificationState
    volumes: list[int]


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list."""
    return render(request, "console/connections/index.html", _context())


@require_POST
def switch(request: HttpRequest, uid: object) -> HttpResponse:
    """Activate or deactivate; the default first asks who follows it."""
    try:
        connection = connections.find(str(uid))
    except Missing:  # the list stood open while somebody deleted it
        messages.error(request, _("There is no such connection any more."))
        return _answered(request, redirect("connections:index").url)
    if request.POST.get("active") == "true":
        return _change(request, connections.activate, connection)
    try:
        return _change(request, connections.deactivate, connection)
    except Conflict:
        page = redirect("connections:deactivate", uid=connection.uid).url
        return HttpResponseClientRedirect(page) if request.headers.get("HX-Request") else redirect(page)


@require_POST
def name_default(request: HttpRequest, uid: object) -> HttpResponse:
    """Make this connection the default sender."""
    return _change(request, connections.make_default, or_404(connections.find, uid))


@require_POST
def pause(request: HttpRequest, uid: object) -> HttpResponse:
    """Stop its mail for now."""
    return _change(request, connections.pause, or_404(connections.find, uid))


@require_POST
def resume(request: HttpRequest, uid: object) -> HttpResponse:
    """Let its mail go on."""
    return _change(request, connections.resume, or_404(connections.find, uid))


def tell_demoted(request: HttpRequest, saved: Saved) -> None:
    """Say who ceased to be the default."""
    for demoted in saved.demoted:
        words = _("“%(demoted)s” is no longer the default; it stays active.") % {"demoted": demoted.name}
        messages.info(request, words)


def _change(request: HttpRequest, change: Change, connection: Connection) -> HttpResponse:
    try:
        saved = change(str(connection.uid), actor(request), timezone.now())
    except Refusal as refusal:
        for fault in refusal.errors:
            messages.error(request, describe(fault))
    except Conflict as conflict:
        if conflict.code != "connection_locked":
            raise  # the caller asks for what is missing
        messages.error(request, describe(conflict))
    else:
        if saved.connection.is_default and not connection.is_default:
            words = _("“%(name)s” is now the default sender.") % {"name": connection.name}
            messages.success(request, words)
        tell_demoted(request, saved)
    return _answered(request, _back(request, connection))


def _answered(request: HttpRequest, back: str) -> HttpResponse:
    """The list alone where it asked for itself."""
    if request.headers.get("HX-Request") and request.headers.get("HX-Target", "").endswith("connections"):
        return render(request, "console/connections/listed.html", {**_context(), "oob": True})
    return redirect(back)


def _back(request: HttpRequest, connection: Connection) -> str:
    if request.POST.get("back") == "edit":
        return redirect("connections:edit", uid=connection.uid).url
    return redirect("connections:index").url


def _context() -> dict[str, object]:
    now = timezone.now()
    accepted = volumes(now)
    rows = [
        Row(connection, verifications.state_of(connection), accepted.get(connection.pk, []))
        for connection in connections.all_connections()
    ]
    return {"rows": rows, "ruling": instance.ruling(), "undoable": undoing.undoable(now)}
