"""Deactivating the default, and deleting: a page says what will happen and asks who follows."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from vaguemestre.console.connections.forms import NOBODY, successor_of
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import connections, departing, foresight
from vaguemestre.ledger.departing import Reassign
from vaguemestre.ledger.foresight import Departure
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.wording import describe

CHOICES = 5  # of who follows the default: for so many it is told what follows


@dataclass(frozen=True)
class Told:
    """What follows, if `heir` is the default then; None for nobody, or where it does not matter."""

    heir: Connection | None
    departure: Departure


@require_http_methods(["GET", "HEAD", "POST"])
def deactivate(request: HttpRequest, uid: object) -> HttpResponse:
    """Deactivate a connection; the default names its successor first."""
    connection = or_404(connections.find, uid)
    if request.method != "POST":
        return _page(request, connection, "deactivate")
    try:
        chosen = successor_of(request.POST.get("successor"))
        connections.deactivate(str(uid), actor(request), timezone.now(), chosen)
    except (Conflict, Refusal) as no:
        return _page(request, connection, "deactivate", no)
    messages.success(request, _("“%(name)s” is deactivated.") % {"name": connection.name})
    return redirect("connections:index")


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, uid: object) -> HttpResponse:
    """Delete a connection, once that was confirmed."""
    connection = or_404(connections.find, uid)
    if request.method != "POST":
        return _page(request, connection, "delete")
    try:
        chosen = successor_of(request.POST.get("successor"))
        departing.delete(str(uid), actor(request), timezone.now(), chosen, _reassigned(request))
    except (Conflict, Refusal) as no:
        return _page(request, connection, "delete", no)
    messages.success(
        request, _("“%(name)s” is deleted, and its password destroyed.") % {"name": connection.name}
    )
    return redirect("connections:index")


def _page(
    request: HttpRequest, connection: Connection, act: str, no: Conflict | Refusal | None = None
) -> HttpResponse:
    others = [other for other in connections.all_connections() if other.pk != connection.pk]
    heirs = [other for other in others if other.active]
    context = {
        "connection": connection,
        "others": others,
        "heirs": heirs,
        "told": _told(connection, heirs, deleted=act == "delete"),
        "reassign": request.POST.get("reassign", ""),
        "no": _words(no),
        "chosen": request.POST.get("successor", ""),
    }
    status = {Conflict: 409, Refusal: 422}.get(type(no), 200)
    return render(request, f"console/connections/{act}.html", context, status=status)


def _told(connection: Connection, heirs: list[Connection], *, deleted: bool) -> list[Told]:
    """What follows, for each choice of who is the default then; without one, where it is not the default."""
    choices = [*heirs[:CHOICES], None] if connection.is_default else [None]
    return [Told(heir, foresight.of_departure(connection, heir, deleted=deleted)) for heir in choices]


def _reassigned(request: HttpRequest) -> Reassign | None:
    chosen = request.POST.get("reassign", "")
    return Reassign(None if chosen == NOBODY else chosen) if chosen else None


def _words(no: Conflict | Refusal | None) -> str:
    if no is None:
        return ""
    return describe(no) if isinstance(no, Conflict) else " ".join(describe(fault) for fault in no.errors)
