"""Where a stored secret cannot be had, people get a page that says why and what to do.

Any page may need one: saving, verifying, the way back from a consent. The cause is for the operator to mend
(the vault's key) or for the reader (a secret that was made unreadable), so each has its words.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from vaguemestre.ledger.vault import Shut, Unreadable

log = structlog.get_logger("console")


def remedy(shut: Shut) -> str:
    """What it is, and what to do."""
    if isinstance(shut, Unreadable):
        return _(
            "A stored secret does not belong to the values it stands beside. Type the password again, or set"
            " up OAuth2 again, on the connection’s page."
        )
    return _(
        "The key that they are encrypted with is missing, or is another one. Whoever runs this installation"
        " puts vault.key back into its data directory, or sets VAGUEMESTRE_VAULT_KEYS to the old key, and"
        " starts it again; “vaguemestre check” tells more. Nothing was changed."
    )


class ShutVault:
    """Middleware: see the module."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing to do while nothing fails."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page."""
        if not isinstance(error, Shut):
            return None
        log.error("vault_shut", why=str(error))
        if request.headers.get("HX-Request"):  # a piece of a page must not be replaced by this page
            messages.error(request, remedy(error))
            return HttpResponseClientRedirect(urlsplit(request.headers.get("HX-Current-URL", "")).path or "/")
        status = 409 if isinstance(error, Unreadable) else 503
        return render(request, "console/vault.html", {"words": remedy(error)}, status=status)
