"""Choosing a provider, or having one proposed for the sender's address. Nothing is saved either way.

With a script a piece of the page is replaced, and the script fills the fields from it; without one, the same
buttons answer with the whole page. The password is never sent back.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from vaguemestre.console import kept
from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.console.connections.provider_choice import Choice, choice_of, proposed, told
from vaguemestre.console.pages import or_404
from vaguemestre.dialling import discovery_from
from vaguemestre.ledger import connections
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.discovery import Busy, recognise
from vaguemestre.providers.recognition import Proposal


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """What is said about a provider, with the values that the script fills in."""
    choice = _choice(request.GET.get("use") or request.GET.get("provider", ""))
    context = {"choice": choice, **told(choice.provider if choice else None)}
    return render(request, "console/connections/provider_told.html", context)


@kept.typed(password=gettext_noop("SMTP password"))
@never_cache
@sensitive_post_parameters("password")
@require_POST
def fill(request: HttpRequest) -> HttpResponse:
    """The page with the provider's values in the form."""
    choice = _choice(request.POST.get("use") or request.POST.get("provider", ""))
    form = choice.into(request.POST) if choice else ConnectionForm(request.POST)
    return form_page(request, form, _connection(request))


@kept.typed(password=gettext_noop("SMTP password"))
@never_cache
@sensitive_post_parameters("password")
@require_POST
def propose(request: HttpRequest) -> HttpResponse:
    """What can be said about the sender's address; nothing for one that is not whole yet."""
    found = proposed(_recognised(request.POST.get("sender_email", "")))
    if found and found.server.host == request.POST.get("host"):
        found = None
    context: dict[str, Any] = {"proposal": found, "asked": "button" in request.POST}
    if request.headers.get("HX-Request"):
        return render(request, "console/connections/provider_proposal.html", context)
    return form_page(request, ConnectionForm(request.POST), _connection(request), **context)


def _choice(text: str) -> Choice | None:
    try:
        return choice_of(text) if text else None
    except Invalid:
        return None


def _recognised(sender_email: str) -> Proposal | None:
    try:
        return recognise(sender_email, discovery_from(settings.ENVIRONMENT))
    except (Busy, Invalid):
        return None


def _connection(request: HttpRequest) -> Connection | None:
    uid = request.POST.get("uid")
    return or_404(connections.find, uid) if uid else None
