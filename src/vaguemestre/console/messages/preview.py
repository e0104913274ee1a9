"""A safe preview: who, what, the plain text and the names of attachments; markup is never rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser

from vaguemestre.ledger.contents import ContentGone, content_of
from vaguemestre.ledger.models import Message
from vaguemestre.mail.content import Content
from vaguemestre.mail.parts import Part, part_of
from vaguemestre.mail.redaction import redacted
from vaguemestre.mail.reply import printable

TEXT_LIMIT = 20_000  # characters
MARKUP_LIMIT = 200_000  # characters of HTML that are read for its words
READ_LIMIT = 2_000_000  # bytes: of a larger message the beginning is enough to recognise it
BLOCKS = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote"}
BODIES = {"text/plain", "text/html", "multipart/related", "multipart/alternative"}
SILENT = {"script", "style", "head", "title", "template"}


@dataclass(frozen=True)
class Attachment:
    """A file of the message.

    Attributes:
        name: "" for a part without one, such as those of a report.
        size: in bytes; None where its end was not read.
    """

    name: str
    kind: str
    size: int | None


@dataclass(frozen=True)
class Preview:
    """What of the content can be shown.

    Attributes:
        text: plain; None where retention removed the content.
        redacted: whether links and codes are hidden, as the stream wants it.
        from_markup: whether the text was taken from HTML.
        cut: whether only the beginning was read; what follows is not in it.
    """

    to: str = ""
    text: str | None = None
    from_markup: bool = False
    attachments: tuple[Attachment, ...] = ()
    cut: bool = False
    redacted: bool = False


def preview_of(message: Message) -> Preview:
    """The preview of a message's content; of a stream that wants it, without links and codes."""
    found = _preview(message)
    return _redacted(found) if message.stream is not None and message.stream.redact else found


def _redacted(found: Preview) -> Preview:
    hidden = tuple(replace(one, name=redacted(one.name)) for one in found.attachments)
    text = None if found.text is None else redacted(found.text)
    return replace(found, text=text, attachments=hidden, redacted=True)


def _preview(message: Message) -> Preview:
    try:
        content = content_of(message)
    except ContentGone:
        return Preview()
    return _read(content, part_of(content.raw[:READ_LIMIT]), cut=len(content.raw) > READ_LIMIT)


def _read(content: Content, whole: Part, *, cut: bool) -> Preview:
    text, markup = _words(whole, "plain"), False
    if not text:
        text = _words(whole, "html")
        markup = bool(text)
    found = [_attachment(part) for part in _beside(whole)]
    if cut and found:
        found[-1] = replace(found[-1], size=None)
    return Preview(
        to=_shown(content.text("To") or ""),
        text=text,
        from_markup=markup,
        attachments=tuple(found),
        cut=cut,
    )


def _words(whole: Part, kind: str) -> str:
    part = whole.first(f"text/{kind}")
    text = "" if part is None else part.text
    return _shown(_plain(text[:MARKUP_LIMIT]) if kind == "html" else text)[:TEXT_LIMIT]


def _beside(whole: Part) -> Iterator[Part]:
    """What travels with the text: all that is not the first of what may be the text, or holds it."""
    if whole.kind.kind == "multipart/alternative":
        return
    if whole.kind.kind == "multipart/related":
        yield from whole.parts[1:]
        return
    seen: set[str] = set()
    for part in whole.parts:
        kind = part.kind.kind
        if kind in BODIES and kind not in seen and not part.attached:
            seen.add(kind)
        else:
            yield part


def _attachment(part: Part) -> Attachment:
    return Attachment(_shown(part.filename), _shown(part.kind.kind), len(part.octets))


def _shown(text: str) -> str:
    """Without control and bidirectional characters, which could disguise it."""
    return printable(text.replace("\r\n", "\n").replace("\t", "    "), TEXT_LIMIT).strip()


def _plain(markup: str) -> str:
    reader = _TextOfMarkup()
    reader.feed(markup)
    reader.close()
    return re.sub(r"\s+", _paragraph, "".join(reader.pieces))


def _paragraph(blank: re.Match[str]) -> str:
    """Of lines without words, one."""
    return "\n\n" if blank[0].count("\n") > 1 else blank[0]


class _TextOfMarkup(HTMLParser):
    """The words of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.silent += tag in SILENT
        if tag in BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT and self.silent > 0
        if tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.pieces.append(re.sub(r"\s+", " ", data))
