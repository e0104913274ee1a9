"""The language of an answer's texts: what `Accept-Language` (RFC 9110 §12.5.4) prefers, else English."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.utils import translation
from django.utils.translation.trans_real import get_supported_language_variant, parse_accept_lang_header

from vaguemestre.doors.api.endpoint import Answer
from vaguemestre.doors.api.rendering import LANGUAGE


def preferred_language(request: HttpRequest) -> str:
    """The language that the request prefers among ours, else English."""
    for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        try:
            return get_supported_language_variant(code)
        except LookupError:
            continue
    return LANGUAGE


def in_preferred_language(request: HttpRequest, body: Callable[[], object]) -> Answer:
    """The answer whose body is made in that language."""
    language = preferred_language(request)
    with translation.override(language):
        return Answer(body(), language=language)
