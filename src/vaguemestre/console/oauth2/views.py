"""OAuth 2.0 for a connection: which way, its steps and form, the consent, and what of it works.

A consent leaves by a page of ours that goes on by itself, and not by a redirect of the button's form: the
policy of content lets forms end at this site alone, and browsers hold every hop of a redirect to it.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vaguemestre.console import kept
from vaguemestre.console.connections.findings import told
from vaguemestre.console.oauth2 import consent
from vaguemestre.console.oauth2.checks import checks_of
from vaguemestre.console.oauth2.forms import ONLY_SHOWN, SECRETS, AccountForm
from vaguemestre.console.oauth2.ways import WAYS, Way, way_of
from vaguemestre.console.pages import actor, or_404
from vaguemestre.dialling import http_from
from vaguemestre.ledger import connections, consents, oauth2, vault
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.wording import health_text
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Grant
from vaguemestre.providers.oauth2.consent import origin_of
from vaguemestre.providers.oauth2.exchange import redeem
from vaguemestre.providers.oauth2.grants import Agreed, TokenAway, TokenRefused, refusal
from vaguemestre.verification.outcome import Outcome
from vaguemestre.verification.probe import Busy, verify
from vaguemestre.verification.texts.tokens import away_text
from vaguemestre.verification.wording import busy_text

CHANGED = gettext_noop("The account was changed meanwhile: connect again.")
_IN_CLEAR = re.compile("http://(?!localhost[:/])")  # what providers do not send people back to
_IN_COMMANDS = re.compile(r"[A-Za-z0-9._%+@-]{1,320}")


@require_safe
def choose(request: HttpRequest, uid: object) -> HttpResponse:
    """Which way; the one that was chosen before leads on at once."""
    connection = or_404(connections.find, uid)
    account = oauth2.account_of(connection)
    if account is not None and "all" not in request.GET:
        return redirect("oauth2:guide", connection.uid, way_of(account).slug)
    return render(request, "console/oauth2/choose.html", {"connection": connection, "ways": WAYS})


@kept.typed(
    client_secret=gettext_noop("Client secret"),
    service_account_key=gettext_noop("Key of the service account (JSON)"),
)
@sensitive_post_parameters(*SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
def guide(request: HttpRequest, uid: object, slug: str) -> HttpResponse:
    """The steps of one way, and its form."""
    connection, way = or_404(connections.find, uid), _way(slug)
    if request.method != "POST":
        return _page(request, connection, AccountForm.of(way, connection, request.GET.get(ONLY_SHOWN, "")))
    form = AccountForm(way, request.POST)
    try:
        saved = connections.edit(str(uid), form.typed(), actor(request), timezone.now())
    except Refusal as refused:
        form.refuse(refused.errors)
        return _page(request, connection, form, status=422)
    if oauth2.is_connected(saved.connection):
        messages.success(request, _("Saved. Now check each step."))
    else:
        messages.info(request, _("Saved. Now the person whose mailbox it is signs in and agrees."))
    return redirect(reverse("oauth2:guide", args=(connection.uid, slug), query=form.only_shown))


@require_POST
def connect(request: HttpRequest, uid: object) -> HttpResponse:
    """Begin to ask for a person's consent."""
    connection = or_404(connections.find, uid)
    account = oauth2.account_of(connection)
    if account is None or account.grant is not Grant.AUTHORIZATION_CODE:
        return redirect("oauth2:choose", connection.uid)
    consent.ask(request.session, connection)
    return redirect("oauth2:leave", connection.uid)


@never_cache
@require_safe
def leave(request: HttpRequest, uid: object) -> HttpResponse:
    """The page that goes on to the provider."""
    connection = or_404(connections.find, uid)
    try:
        account, url = consent.address(request.session, connection)
    except consent.Astray:
        return redirect("oauth2:choose", connection.uid)
    context = {"connection": connection, "url": url, "origin": origin_of(account.authorization_endpoint)}
    response = render(request, "console/oauth2/leave.html", context)
    response["Refresh"] = f"0; url={url}"
    return response


@never_cache
@require_safe
def callback(request: HttpRequest) -> HttpResponse:
    """The way back from the provider."""
    try:
        asked = consent.answered(request.session, request.GET.get("state", ""))
        connection = connections.find(asked.uid)
    except (consent.Astray, Missing):
        messages.error(request, _("This consent was not asked for here, or came too late. Ask again."))
        return redirect("connections:index")
    if asked.fits(connection):
        _take(request, connection, asked)
    else:
        messages.error(request, _(CHANGED))
    return redirect("oauth2:choose", connection.uid)


def _take(request: HttpRequest, connection: Connection, asked: consent.Asked) -> None:
    """Exchange the code that came back, and keep the consent."""
    if "error" in request.GET:
        refused = refusal(
            Grant.AUTHORIZATION_CODE, request.GET["error"], request.GET.get("error_description")
        )
        words = _("The provider gave no consent: %(said)s") % {"said": refused.said}
        messages.error(request, words)
        return
    try:
        refresh_token = _redeemed(connection, asked, Secret(request.GET.get("code", "")))
    except TokenRefused as refused:
        words = _("The provider did not take the consent: %(said)s") % {"said": refused.said}
        messages.error(request, words)
    except vault.Unreadable:
        messages.error(request, _("The stored secret cannot be read any more: set up OAuth2 again."))
    except TokenAway as away:
        words = _("The provider’s token service could not be asked. %(why)s Connect again.")
        messages.error(request, words % {"why": _(away_text(away.why))})
    else:
        _keep(request, connection, refresh_token)


def _keep(request: HttpRequest, connection: Connection, refresh_token: Secret | None) -> None:
    if refresh_token is None:
        messages.error(
            request,
            _("The provider gave a token that cannot be renewed. Let the application have offline access."),
        )
        return
    if not consents.keep(connection, refresh_token, actor(request), timezone.now()):
        messages.error(request, _(CHANGED))
        return
    messages.success(request, _("“%(name)s” is connected. Now check each step.") % {"name": connection.name})


def _redeemed(connection: Connection, asked: consent.Asked, code: Secret) -> Secret | None:
    account = oauth2.account_of(connection)
    if account is None:
        return None
    agreed = Agreed(code, asked.verifier, consent.redirect_uri())
    credentials = oauth2.kept_of(connection).credentials
    http = http_from(settings.ENVIRONMENT)
    return asyncio.run(redeem(http, account, credentials, agreed, timezone.now())).refresh_token


@require_POST
def check(request: HttpRequest, uid: object) -> HttpResponse:
    """Try the saved connection, and tell what of each step works."""
    connection = or_404(connections.find, uid)
    account = oauth2.account_of(connection)
    if account is None:
        return redirect("oauth2:choose", connection.uid)
    try:
        *_steps, outcome = verify(connections.saved_draft(connection), timezone.now())
    except Busy:
        messages.warning(request, busy_text())
        return redirect("oauth2:choose", connection.uid)
    connection = connections.find(str(connection.uid))  # it may be unlocked now
    found: dict[str, Any] = {}
    if isinstance(outcome, Outcome):
        found = {"checks": checks_of(account, outcome), "findings": told(outcome.findings)}
    return _page(request, connection, AccountForm.of(way_of(account), connection), **found)


def _page(
    request: HttpRequest, connection: Connection, form: AccountForm, status: int = 200, **more: Any
) -> HttpResponse:
    account = oauth2.account_of(connection)
    current = account is not None and way_of(account) is form.way
    person = account is not None and account.grant is Grant.AUTHORIZATION_CODE
    context = {
        "connection": connection,
        "form": form,
        "way": form.way,
        "account": account if current else None,
        "row": oauth2.row_of(connection) if current else None,
        "connected": current and oauth2.is_connected(connection),
        "asks_person": current and person,
        "redirect_uri": consent.redirect_uri(),
        "unencrypted": bool(form.way.who) and _IN_CLEAR.match(consent.redirect_uri()) is not None,
        "mailbox": _harmless(form["login"].value() or connection.sender_email, "MAILBOX"),
        "tenant": _harmless(form["tenant"].value(), "TENANT-ID"),
        "client_id": _harmless(form["client_id"].value(), "CLIENT-ID"),
        "object_id": _harmless(form[ONLY_SHOWN].value(), "OBJECT-ID"),
        "number": account.client_id if current and account is not None else "",
        "locked": health_text(connection.health_why) if connection.health == "locked" else "",
        **more,
    }
    return render(request, "console/oauth2/guide.html", context, status=status)


def _harmless(typed: object, otherwise: str) -> str:
    """A value as it may stand in a command that somebody pastes into a shell."""
    text = str(typed or "")
    return text if _IN_COMMANDS.fullmatch(text) else otherwise


def _way(slug: str) -> Way:
    for way in WAYS:
        if way.slug == slug:
            return way
    raise Http404
