"""A safe preview: who, what, the plain text and the names of attachments; markup is never rendered."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from typing import Any

from vaguemestre.ledger.contents import ContentGone, content_of
from vaguemestre.ledger.models import Message
from vaguemestre.mail.redaction import redacted
from vaguemestre.mail.reply import printable

TEXT_LIMIT = 20_000  # characters
READ_LIMIT = 2_000_000  # bytes: of a larger message the beginning is enough to recognise it
BLOCKS = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote"}
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
        text: plain; None if the content is not kept any more or cannot be read.
        gone: whether retention removed the content.
        redacted: whether links and codes are hidden, as the stream wants it.
        from_markup: whether the text was taken from HTML.
        cut: whether only the beginning was read; what follows is not in it.
    """

    to: str = ""
    text: str | None = None
    from_markup: bool = False
    attachments: tuple[Attachment, ...] = ()
    cut: bool = False
    gone: bool = False
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
        raw = content_of(message).raw
    except ContentGone:
        return Preview(gone=True)
    try:
        parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw[:READ_LIMIT])
        return _read(parsed, cut=len(raw) > READ_LIMIT)
    except (ValueError, LookupError, AttributeError, KeyError, IndexError):
        return Preview()  # what the standard library stumbles over is not worth a failing page


def _read(parsed: EmailMessage, *, cut: bool) -> Preview:
    text, markup = _words(parsed, "plain"), False
    if not text:
        text = _words(parsed, "html")
        markup = bool(text)
    found = [_attachment(part) for part in parsed.iter_attachments()]
    if cut and found:
        found[-1] = replace(found[-1], size=None)
    return Preview(
        to=_shown(str(parsed["To"] or "")),
        text=text,
        from_markup=markup,
        attachments=tuple(found),
        cut=cut,
    )


def _words(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body(preferencelist=(kind,))
    text = "" if body is None else str(body.get_content())
    return _shown(_plain(text) if kind == "html" else text)[:TEXT_LIMIT]


def _attachment(part: Any) -> Attachment:
    name, kind = _shown(part.get_filename() or ""), _shown(part.get_content_type())
    if part.is_multipart():  # a message in it, or the fields of a report
        return Attachment(name, kind, sum(len(bytes(one)) for one in part.get_payload()))
    return Attachment(name, kind, len(part.get_payload(decode=True) or b""))


def _shown(text: str) -> str:
    """Without control and bidirectional characters, which could disguise it."""
    return printable(text.replace("\r\n", "\n").replace("\t", "    "), TEXT_LIMIT).strip()


def _plain(markup: str) -> str:
    reader = _TextOfMarkup()
    reader.feed(markup)
    reader.close()
    return re.sub(r"\s*\n\s*\n\s*", "\n\n", "".join(reader.pieces))


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
