"""A template's three parts and data, as a mail: subject, text and HTML.

HTML that is a whole document stays as it is; a piece of one is put into the house's layout, which reads well
in light and dark, on a narrow screen and without images. Its styles are then written to the elements, since
many mail programs drop style sheets; what cannot be written there (the dark colours) stays in one. Nothing is
loaded from anywhere. Where no text is given, it is taken from the HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from css_inline import CSSInliner, InlineError
from markupsafe import Markup

from vaguemestre.templating.engine import asked, parse, render
from vaguemestre.templating.fault import Fault
from vaguemestre.templating.plain import text_of

DATA_LIMIT = 1_000_000  # characters as JSON
LANGUAGE = "language"  # in the data: what the mail is written in
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DOCUMENT = re.compile(r"<(?:!doctype|html)\b", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
# Of no depth of their own: they have no end, or need none.
_SHALLOW = frozenset("br hr img input meta link col wbr p li td th tr dt dd option thead tbody tfoot".split())  # noqa: SIM905
DEPTH = 100  # elements within each other
TAGS = 50_000
STYLING = 20_000_000  # comparisons of an element with a style, about two seconds
_SHEET = re.compile(r"<style\b[^>]*>(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_LAYOUT = Path(__file__).with_name("layout.html")
_COLONS = {"fr": "\u00a0: "}  # French sets a space before it
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


@dataclass(frozen=True)
class Sources:
    """What a template is made of; text or html, or both."""

    subject: str
    text: str = ""
    html: str = ""


@dataclass(frozen=True)
class Rendered:
    """A mail's words.

    Attributes:
        subject: one line, not empty.
        html: None where the template has none.
        language: what it is written in.
    """

    subject: str
    text: str
    html: str | None
    language: str


def faults_of(sources: Sources) -> list[Fault]:
    """What can be said against a template before it meets any data, a fault for each part."""
    found = [_fault_of(part, source) for part, source in _parts(sources).items() if source]
    if not (sources.text.strip() or sources.html.strip()):
        found.append(Fault("text", "template_body_empty"))
    if not sources.subject.strip():
        found.append(Fault("subject", "template_subject_empty"))
    elif _BREAKS.search(sources.subject):
        found.append(Fault("subject", "template_line_break", 1))
    return [fault for fault in found if fault is not None]


def sample_of(sources: Sources) -> dict[str, object]:
    """Data that holds all that a template asks for: names for themselves, and empty lists to loop over."""
    found: dict[str, object] = {}
    try:
        for part, source in _parts(sources).items():
            for path, looped in asked(part, source):
                _put(found, path, [] if looped else path[-1])
    except Fault:
        return {}
    found.pop(LANGUAGE, None)
    return found


def compose(sources: Sources, data: Mapping[str, object], language: str) -> Rendered:
    """The mail that a template and data make.

    Raises:
        Fault: at its part and line.
    """
    values = {**_plain_data(data), LANGUAGE: language}
    subject = _subject(sources.subject, values)
    piece = render("html", sources.html, values) if sources.html.strip() else None
    text = (
        render("text", sources.text, values)
        if sources.text.strip()
        else text_of(piece or "", _COLONS.get(language[:2], ": "))
    )
    html = None if piece is None else _dressed(piece, subject, values)
    return Rendered(subject, text, html, language)


def _put(values: dict[str, object], path: Sequence[str], value: object) -> None:
    """A value at its path, unless something more stands there."""
    *outer, last = path
    for name in outer:
        inner = values.get(name)
        if not isinstance(inner, dict):
            inner = values[name] = {}
        values = inner
    values.setdefault(last, value)


def _parts(sources: Sources) -> dict[str, str]:
    return {"subject": sources.subject, "text": sources.text, "html": sources.html}


def _fault_of(part: str, source: str) -> Fault | None:
    try:
        parse(part, source)
    except Fault as fault:
        return fault
    return None


def _subject(source: str, values: Mapping[str, object]) -> str:
    subject = render("subject", source, values)
    if _BREAKS.search(subject):
        raise Fault("subject", "template_line_break", 1)
    if not subject.strip():
        raise Fault("subject", "template_subject_empty", 1)
    return subject.strip()


def _plain_data(data: Mapping[str, object]) -> dict[str, object]:
    """A copy that holds what JSON has, and nothing of ours."""
    try:
        written = json.dumps(dict(data), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise Fault("data", "template_data") from None
    if len(written) > DATA_LIMIT:
        raise Fault("data", "template_data_long", limit=DATA_LIMIT)
    copied: dict[str, object] = json.loads(written)
    return copied


def _refuse_maze(markup: str) -> None:
    """Refuse what matching styles would take for ever on: very deep, very many elements, or too many styles
    for them. A style is compared with each element, and with what is above it; one with `~` in it goes back
    over all siblings, at a tenth of the price.
    """
    depth = deepest = number = 0
    for number, (closing, name) in enumerate(_TAG.findall(markup), 1):
        if name.lower() not in _SHALLOW:
            depth += -1 if closing and depth else not closing
            deepest = max(deepest, depth)
        if depth > DEPTH or number > TAGS:
            said = f"more than {TAGS} tags" if number > TAGS else f"elements nested more than {DEPTH} deep"
            raise _too_much(markup, said)
    sheet = "".join(_SHEET.findall(markup))
    styles = sheet.count("{") + sheet.count(",")
    if styles * number * (1 + deepest / 10) + sheet.count("~") * number**2 / 10 > STYLING:
        raise _too_much(markup, f"{styles} styles for {number} tags")


def _too_much(markup: str, said: str) -> Fault:
    return Fault("html", "template_limit", markup.count("\n") + 1, said=said)


def _dressed(piece: str, subject: str, values: Mapping[str, object]) -> str:
    document = piece
    if not _DOCUMENT.search(piece[:500]):
        document = render("html", _layout(), {**values, "subject": subject, "content": Markup(piece)})  # noqa: S704  every value in it is escaped
    _refuse_maze(document)
    try:
        return _INLINER.inline(document)
    except InlineError:
        raise Fault("html", "template_value", said="its styles cannot be read") from None


@cache
def _layout() -> str:
    return _LAYOUT.read_text(encoding="utf-8")
