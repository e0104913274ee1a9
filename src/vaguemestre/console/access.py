"""Who may come in: people are invited or created, nobody signs up by themselves.

Every page of the console asks for a signed-in person unless its view says `login_not_required`: a new page
cannot forget it. As long as nobody exists, every page leads to the first-run page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.utils.translation import gettext_lazy as _

from vaguemestre.console import kept
from vaguemestre.console.people import guesses
from vaguemestre.ledger.models import User

CONSOLE = "vaguemestre.console."

type View = Callable[..., HttpResponseBase]


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's account adapter with sign-up closed, and without mail of its own."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _("The email address or the password is not right."),
        "too_many_login_attempts": _(
            "Too many wrong tries for this address. Try again in a minute, or from a browser that you have"
            " signed in with before; or have a link sent to you under “Forgotten password?”."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002  allauth's signature
        """Never: the first administrator has a one-time link, the others an invitation."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuses one try too many; what is right after all is not counted."""
        address = str(credentials.get("email") or getattr(request.user, "email", ""))
        self._login_failed_rl_usage = guesses.begin(request, address)
        if not self._login_failed_rl_usage:
            raise self.validation_error("too_many_login_attempts")

    def post_login(self, request: HttpRequest, user: Any, **named: Any) -> HttpResponseBase:
        """The browser is known from now on."""
        answer: HttpResponseBase = super().post_login(request, user, **named)
        answer = kept.sending_on(request, user) or answer
        guesses.remember(answer, user.email)
        return answer

    def send_mail(self, *_: object, **__: object) -> None:
        """Nothing: links to a password are the ledger's (`passwords`)."""


class SignedIn:
    """Middleware: lets only signed-in people through to the console's pages."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """What a person was shown is kept by no proxy, and by their browser not without asking again."""
        response = self.get_response(request)
        if request.resolver_match is not None and request.resolver_match.func.__module__.startswith(CONSOLE):
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """None lets the request through; views of other rooms have their own doorkeepers."""
        del args, kwargs
        open_to_all = not getattr(view, "login_required", True)
        if open_to_all or not view.__module__.startswith(CONSOLE) or request.user.is_authenticated:
            return None
        return redirect("setup:first_run") if not User.objects.exists() else _to_login(request, view)


def _to_login(request: HttpRequest, view: View) -> HttpResponseBase:
    """To the login page, and back to this one afterwards where that is possible."""
    login = resolve_url(settings.LOGIN_URL)
    if kept.by_script(request):
        return kept.signed_out(request)
    if request.method == "POST" and kept.keeps(request, view):
        return kept.login_page(request, view)
    if request.method != "GET":
        messages.warning(
            request, _("You had been signed out, so nothing was done. Sign in, and do it again.")
        )
        return redirect(login)  # what was posted cannot be gone back to
    return redirect_to_login(request.get_full_path(), login)
