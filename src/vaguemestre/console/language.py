"""The reader's language: a person's own choice, else the cookie, the browser, the installation's default.

Django's LocaleMiddleware knows the last three; this adds the person's.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import User

type Next = Callable[[HttpRequest], HttpResponseBase]


class ReaderLanguage:
    """Middleware: a signed-in person reads the language they chose."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Only where a session came along: the API's requests cost no look at it."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            language = request.user.language
            if language in dict(settings.LANGUAGES):
                translation.activate(language)
                request.LANGUAGE_CODE = language
        return self.get_response(request)


@login_not_required
@require_POST
def choose(request: HttpRequest) -> HttpResponseBase:
    """Keep the language that was chosen, and go back to the page."""
    language = request.POST.get("language", "")
    if isinstance(request.user, User) and language in dict(settings.LANGUAGES):
        with writing():
            request.user.language = language
            request.user.save(update_fields=["language"])
    return set_language(request)
