"""The page of one connection: the mission's two sections, limits, and what is advanced.

A refusal keeps what was typed and says at each field what to do (status 422); the password alone is never
shown again. Saving is never blocked by a verification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from vaguemestre.console import kept, overtaking
from vaguemestre.console.connections.findings import told_again
from vaguemestre.console.connections.forms import USUAL_PORTS, ConnectionForm, successor_of
from vaguemestre.console.connections.lane import lane_told
from vaguemestre.console.connections.listing import tell_demoted
from vaguemestre.console.connections.provider_choice import provider_told
from vaguemestre.console.connections.trying import trial_told
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import connections, instance, oauth2, verifications
from vaguemestre.ledger.connections import Saved
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.account import AuthKind

type Save = Callable[[Mapping[str, object]], Saved]


@kept.typed(password=gettext_noop("SMTP password"))
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new connection."""
    if request.method != "POST":
        return form_page(request, ConnectionForm(), None)

    def save(values: Mapping[str, object]) -> Saved:
        return connections.create(values, actor(request), timezone.now())

    return _saved_or_form(request, None, save)


@kept.typed(password=gettext_noop("SMTP password"))
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, uid: object) -> HttpResponse:
    """The form of a saved connection."""
    connection = or_404(connections.find, uid)
    if request.method != "POST":
        return form_page(request, ConnectionForm.of(connection), connection)

    def save(values: Mapping[str, object]) -> Saved:
        chosen = successor_of(request.POST.get("successor"))
        with overtaking.saving(request, lambda: ConnectionForm.of(or_404(connections.find, uid)).initial):
            was_default = connections.find(str(uid)).is_default
            kept = _without_default(values) if was_default and not values["active"] else values
            return connections.edit(str(uid), kept, actor(request), timezone.now(), chosen)

    try:
        return _saved_or_form(request, connection, save)
    except Overtaken as overtaken:
        form = ConnectionForm(overtaking.merged(request.POST, overtaken))
        overtaking.tell(form, overtaken)
        return form_page(request, form, or_404(connections.find, uid), 409, overtaken)


def form_page(
    request: HttpRequest,
    form: ConnectionForm,
    connection: Connection | None,
    status: int = 200,
    overtaken: Overtaken | None = None,
    **more: Any,
) -> HttpResponse:
    """The page around the form."""
    saved = ConnectionForm.of(connection).initial if connection else {}
    others = [
        other for other in connections.all_connections() if connection is None or other.pk != connection.pk
    ]
    form.offer_backups(others)
    verification = verifications.state_of(connection) if connection else None
    context = {
        "form": form,
        "connection": connection,
        "seen": overtaking.marked(request, saved, overtaken),
        "default": next((other for other in others if other.is_default), None),
        "heirs": [other for other in others if other.active],
        "has_password": connection is not None and connections.vault_has(connection),
        "verification": verification,
        "findings": told_again(verification.findings) if verification else [],
        "lane": lane_told(connection, timezone.now()) if connection else None,
        "mode": instance.settings()["default_mode"],
        "usual_ports": USUAL_PORTS,
        "reader": address_of(request.user),
        **(trial_told(connection, request.GET.get("test")) if connection else {}),
        **provider_told(form),
        **more,
    }
    return render(request, "console/connections/form.html", context, status=status)


def _without_default(values: Mapping[str, object]) -> dict[str, object]:
    """A ticked default that is being deactivated: who follows decides, not the tick."""
    return {name: value for name, value in values.items() if name != "is_default" or not value}


def _saved_or_form(request: HttpRequest, connection: Connection | None, save: Save) -> HttpResponse:
    form = ConnectionForm(request.POST)
    values = form.typed()
    try:
        saved = save(values)
    except Refusal as refusal:
        form.refuse(refusal.errors)
        return form_page(request, form, connection, status=422)
    except Conflict as conflict:
        return form_page(request, form, connection, status=409, conflict=describe(conflict))
    _tell(request, saved)
    if saved.connection.auth == AuthKind.OAUTH2 and not oauth2.is_connected(saved.connection):
        return redirect("oauth2:choose", saved.connection.uid)
    return redirect("connections:index")


def _tell(request: HttpRequest, saved: Saved) -> None:
    names = {"name": saved.connection.name}
    if saved.unverified:
        words = _("“%(name)s” is saved. These settings have not been verified successfully yet.") % names
        messages.warning(request, words)
    else:
        messages.success(request, _("“%(name)s” is saved, and verified.") % names)
    tell_demoted(request, saved)
