"""Reads whatever was pasted: tells what it is, unless that was said, and hands it to its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.imports.django import is_django, read_django
from vaguemestre.providers.imports.dotenv import read_env
from vaguemestre.providers.imports.postfix import IS_POSTFIX, read_postfix
from vaguemestre.providers.imports.reading import Kind, Reading
from vaguemestre.providers.imports.url import IS_URL, read_url
from vaguemestre.providers.imports.wordpress import IS_WORDPRESS, read_wordpress

MOST = 131_072  # characters

_READERS: Mapping[Kind, Callable[[str], Reading]] = {
    Kind.ENV: read_env,
    Kind.URL: read_url,
    Kind.DJANGO: read_django,
    Kind.WORDPRESS: read_wordpress,
    Kind.POSTFIX: read_postfix,
}


def read(text: str, kind: str = "") -> Reading:
    """What the text holds.

    Raises:
        Invalid: it is too long, or the kind is none.
    """
    if len(text) > MOST:
        raise Invalid("text", "too_long", f"This is too long: at most {MOST} characters.", {"limit": MOST})
    if kind and kind not in {*Kind}:
        raise Invalid("kind", "import_kind_unknown", f"Choose {', '.join(Kind)}, or none to have it told.")
    return _READERS[Kind(kind) if kind else kind_of(text)](text)


def kind_of(text: str) -> Kind:
    """What a text is; a `.env` where nothing else fits."""
    stripped = text.strip()
    if IS_URL.match(stripped):
        return Kind.URL
    if IS_WORDPRESS.search(text):
        return Kind.WORDPRESS
    if IS_POSTFIX.search(text):
        return Kind.POSTFIX
    return Kind.DJANGO if is_django(text) else Kind.ENV
