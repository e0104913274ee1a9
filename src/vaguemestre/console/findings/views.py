"""What a verification may find, explained: one page a finding, and a list of them all.

The texts are those of the findings themselves, with an example's facts, and when each is seen.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_safe

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.cautions import CAUTIONS
from vaguemestre.verification.texts.dialogue import DIALOGUE
from vaguemestre.verification.texts.encryption import ENCRYPTION
from vaguemestre.verification.texts.passing import PASSING
from vaguemestre.verification.texts.reaching import REACHING
from vaguemestre.verification.texts.signing_in import SIGNING_IN
from vaguemestre.verification.texts.tokens import TOKENS
from vaguemestre.verification.wording import explained

GROUPS = {
    gettext_noop("Reaching the server"): REACHING,
    gettext_noop("Encryption"): ENCRYPTION,
    gettext_noop("Signing in"): SIGNING_IN | TOKENS,
    gettext_noop("Being let through"): PASSING,
    gettext_noop("The dialogue itself"): DIALOGUE,
    gettext_noop("It works, and something may not"): CAUTIONS,
}
EXAMPLE = {
    "host": "mail.example.net",
    "port": "587",
    "encryption": "starttls",
    "login": "office",
    "sender": "office@example.org",
    "recipient": "me@example.org",
    "source_address": "192.0.2.9",
    "address": "2001:db8::25",
    "family": "IPv6",
    "other": "IPv4",
    "product": "Zscaler",
    "expires_at": "2030-05-01T12:00:00+00:00",
    "days": "7",
    "size": "5242880",
}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All of them, in the order of a dialogue."""
    groups = [(gettext(title), [_explained(code) for code in texts]) for title, texts in GROUPS.items()]
    return render(request, "console/findings/index.html", {"groups": groups})


@require_safe
def detail(request: HttpRequest, code: str) -> HttpResponse:
    """One of them."""
    if code not in FindingCode:
        raise Http404
    context = {"told": _explained(FindingCode(code)), "example": EXAMPLE}
    return render(request, "console/findings/detail.html", context)


def _explained(code: FindingCode) -> dict[str, Any]:
    return explained(code, EXAMPLE)
