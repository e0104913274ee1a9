"""Where a request came from: the site that it was sent from, the visitor's network address and language."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation.trans_real import parse_accept_lang_header

from vaguemestre.ledger import forms
from vaguemestre.ledger.models import Form
from vaguemestre.mail.errors import Invalid


def permitted(request: HttpRequest, form: Form) -> bool:
    """Whether the form may be sent from there; where nothing is said of it, it may."""
    if not form.origins:
        return True
    said = _said(request)
    return said is None or said in {*form.origins, _ours()}


def sharing(request: HttpRequest, form: Form) -> str:
    """The site whose scripts may read the answer (CORS); "" for none."""
    said = request.headers.get("Origin", "")
    return said if said in form.origins else ""


def address(request: HttpRequest) -> str:
    """Of the visitor (`doors.visitor`)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def language(request: HttpRequest, languages: Sequence[str], asked: str) -> str:
    """The one the page says, else the visitor's, else the form's usual one."""
    if asked in languages:
        return asked
    known = {one.lower(): one for one in languages}
    for wanted, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500].lower()):
        for code in (wanted, wanted.partition("-")[0]):
            if code in known:
                return known[code]
    return languages[0]


def _said(request: HttpRequest) -> str | None:
    """What the request says of its site: as it is named there, "" where it is none, None where it is not."""
    said = request.headers.get("Origin") or request.headers.get("Referer")
    if said is None:
        return None
    try:
        parts = urlsplit(said)
        return forms.origin(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, Invalid):
        return ""


def _ours() -> str:
    parts = urlsplit(settings.ENVIRONMENT.base_url)
    return f"{parts.scheme}://{parts.netloc}"
