"""The templates that come with the product, in French, English and Italian; a stored one takes their place.

Each is a file: the subject as a header field, an empty line, and a piece of HTML for the layout. Beside it
stands sample data, for the preview.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vaguemestre.templating.rendering import Sources

_FOLDER = Path(__file__).with_name("starters")
_FIELD = "Subject: "


@cache
def all_keys() -> tuple[str, ...]:
    """Of all starters, in the order of the alphabet."""
    return tuple(sorted(folder.name for folder in _FOLDER.iterdir()))


@cache
def languages(key: str) -> tuple[str, ...]:
    """In which a starter is there; none for a key without one."""
    return tuple(sorted(file.stem for file in (_FOLDER / key).glob("*.html"))) if key in all_keys() else ()


@cache
def starter(key: str, language: str) -> Sources | None:
    """The starter; None where there is none."""
    if language not in languages(key):
        return None
    field, html = (_FOLDER / key / f"{language}.html").read_text(encoding="utf-8").split("\n\n", 1)
    return Sources(field.removeprefix(_FIELD), html=html)


@cache
def sample(key: str) -> str:
    """Sample data as JSON, as it stands in its file; an empty object for what has none."""
    return (_FOLDER / key / "sample.json").read_text(encoding="utf-8") if key in all_keys() else "{}\n"
