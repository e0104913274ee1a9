"""A message as it is posted, as Envelope and Content (RFC 5322, RFC 2045 to 2047, RFC 2183, RFC 2231).

`compose` promises a content that any server can carry: 7-bit bodies in lines of at most 998 octets (text as
it is, quoted-printable or base64, whichever is plainest), attachments whose bytes come out as they went in,
Bcc nowhere in it, and the same bytes for the same post. Names and subjects beyond ASCII are encoded,
international domains are A-labels; only a local part beyond ASCII is left in UTF-8 (RFC 6532). Date and
Message-ID are added when it leaves, not here. Text is text: its line breaks become CRLF. It takes time linear
in the size.

Bad input raises `Invalid` at the field's path (`attachments[0].filename`, `headers.X-Ticket`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from vaguemestre.mail.bodies import (
    TYPE,
    Part,
    alternative,
    base64_lines,
    encoded_as,
    head_of,
    multipart,
    text_part,
)
from vaguemestre.mail.content import LINE_LIMIT, Content, Field, has_long_line
from vaguemestre.mail.described import percent_pieces
from vaguemestre.mail.envelope import UNNAMED, Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import is_message_id, mailboxes_field, text_field
from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.mail.value import value

SUBJECT_LIMIT = 2_000  # characters
FILENAME_LIMIT = 255  # characters
HEADERS_LIMIT = 100
ATTACHMENTS_LIMIT = 500
_VERSION = (b"mime-version", b"MIME-Version: 1.0\r\n")
_NONE: Mapping[str, str] = MappingProxyType({})

_OWN = frozenset(
    "from to cc bcc subject reply-to sender return-path received mime-version".split()  # noqa: SIM905  reads best
)
_OWN_PREFIXES = ("dkim-", "content-", "x-vaguemestre-")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_HIDING = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # bidirectional marks: invoice[RLO]fdp.exe
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"  # noqa: S105  RFC 2045's word for it
_CONTENT_TYPE = re.compile(rf'({_TOKEN})/({_TOKEN})(?: *; *{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]{{0,200}}"))*')


@dataclass(frozen=True)
class Attachment:
    """A file that travels with a message.

    Attributes:
        filename: a bare name, without any path; "" only for an inline part.
        content: its bytes.
        content_type: RFC 2045 §5.1, such as `application/pdf`.
        content_id: what `cid:` in the HTML names; "" for an ordinary attachment.
    """

    filename: str
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"
    content_id: str = ""


@value
class Post:
    """A message as a submitter writes it.

    Attributes:
        from_: None leaves the From to the connection that will carry it.
        headers: further fields, name to value; none of those that we write ourselves.
    """

    to: tuple[NamedMailbox, ...] = ()
    cc: tuple[NamedMailbox, ...] = ()
    bcc: tuple[NamedMailbox, ...] = ()
    from_: NamedMailbox | None = None
    reply_to: tuple[NamedMailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = _NONE


@dataclass(slots=True)
class Bodies:
    """The bodies of messages that are composed one behind the other: of many it is that of the one before.

    Attributes:
        checked: no text of them holds half a character, or a control character but tabs and line breaks.
    """

    checked: bool = False
    _texts: tuple[str | None, str | None] = None, None
    _last: Part | None = None

    def of(self, post: Post) -> Part:
        """That of a post."""
        if post.attachments:
            return _body(post, checked=self.checked)
        texts = post.text, post.html
        if self._last is None or texts != self._texts:
            usual = alternative(post.text, post.html) if self.checked else None
            self._last, self._texts = usual or _body(post, checked=self.checked), texts
        return self._last


def compose(post: Post, bodies: Bodies | None = None) -> tuple[Envelope, Content]:
    """The envelope and the content of a posted message.

    Args:
        post: the message.
        bodies: those of the messages before it.

    Raises:
        Invalid: see the module.
    """
    sender = UNNAMED if post.from_ is None else post.from_.mailbox
    recipients = [named.mailbox for named in post.to + post.cc + post.bcc]
    envelope = Envelope.to_each(sender, recipients)
    (described, _), body = (bodies or Bodies()).of(post)
    fields = _address_fields(post)
    if post.subject:
        fields.append((b"subject", _subject(post.subject)))
    if post.headers:
        fields += _further(post.headers)
    fields.append(_VERSION)
    fields += described
    return envelope, Content.of(fields, body)


def _address_fields(post: Post) -> list[Field]:
    fields = []
    if post.from_ is not None:
        fields.append((b"from", mailboxes_field("From", (post.from_,))))
    if post.reply_to:
        fields.append((b"reply-to", mailboxes_field("Reply-To", post.reply_to)))
    if post.to:
        fields.append((b"to", mailboxes_field("To", post.to)))
    if post.cc:
        fields.append((b"cc", mailboxes_field("Cc", post.cc)))
    return fields


def _subject(subject: str) -> bytes:
    if not subject.isprintable() and _CONTROL.search(subject):
        raise Invalid("subject", "control_characters", "Control characters are not allowed in a subject.")
    if len(subject) > SUBJECT_LIMIT:
        raise Invalid("subject", "too_long", f"The subject is too long: at most {SUBJECT_LIMIT} characters.")
    return text_field("Subject", subject)


def _further(headers: Mapping[str, str]) -> Iterator[Field]:
    if len(headers) > HEADERS_LIMIT:
        raise Invalid("headers", "too_many", f"A message has at most {HEADERS_LIMIT} further headers.")
    seen: set[str] = set()
    for name, text in headers.items():
        path = f"headers.{name}" if _HEADER_NAME.fullmatch(name) else "headers"
        _permitted(name, path, seen)
        if _CONTROL.search(text):
            raise Invalid(path, "control_characters", f"The header {name} holds a control character.")
        _well_formed(name.lower(), text, path)
        yield name.lower().encode(), text_field(name, text)


def _permitted(name: str, path: str, seen: set[str]) -> None:
    low = name.lower()
    if path == "headers":
        raise Invalid(path, "header_name", "A header's name holds only letters, digits and hyphens.")
    if low in _OWN or low.startswith(_OWN_PREFIXES):
        raise Invalid(path, "header_reserved", f"The header {name} is written by us; leave it out.")
    if low in seen:
        raise Invalid(path, "header_twice", f"The header {name} is there twice.")
    seen.add(low)


def _well_formed(name: str, value: str, path: str) -> None:
    """The fields that others rely on, and that are not free text."""
    if name == "message-id" and not is_message_id(value):
        raise Invalid(path, "message_id", "A Message-ID looks like <unique@example.org>.")
    if name == "date":
        try:
            parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            raise Invalid(path, "date", "A Date looks like Mon, 5 Jan 2026 10:00:00 +0100.") from None


def _body(post: Post, *, checked: bool) -> Part:
    inline, attached = _attachments(post) if post.attachments else ([], [])
    alternatives = []
    # An empty text beside HTML is none: readers that prefer text would show nothing.
    if post.text is not None and (post.text.strip() or post.html is None):
        alternatives.append(text_part("text", "plain", post.text, checked=checked))
    if post.html is not None:
        html = text_part("html", "html", post.html, checked=checked)
        alternatives.append(multipart("related", [html, *inline]) if inline else html)
    parts = [multipart("alternative", alternatives)] if len(alternatives) > 1 else alternatives
    if not parts and not attached:
        raise Invalid("text", "body_missing", "A message needs text, html or an attachment.")
    return multipart("mixed", [*parts, *attached]) if attached else parts[0]


def _attachments(post: Post) -> tuple[list[Part], list[Part]]:
    """Those that the HTML shows, and the others."""
    if len(post.attachments) > ATTACHMENTS_LIMIT:
        raise Invalid("attachments", "too_many", f"A message has at most {ATTACHMENTS_LIMIT} attachments.")
    inline: list[Part] = []
    attached: list[Part] = []
    identifiers: set[str] = set()
    for position, attachment in enumerate(post.attachments):
        path = f"attachments[{position}]"
        shown = bool(attachment.content_id) and post.html is not None
        part = _attachment(attachment, path, "inline" if shown else "attachment")
        if attachment.content_id and attachment.content_id in identifiers:
            raise Invalid(f"{path}.content_id", "content_id_twice", "Another attachment has this content_id.")
        identifiers.add(attachment.content_id)
        (inline if shown else attached).append(part)
    return inline, attached


def _attachment(attachment: Attachment, path: str, disposition: str) -> Part:
    kind = attachment.content_type
    found = _CONTENT_TYPE.fullmatch(kind) if len(kind) <= LINE_LIMIT - 20 else None
    if found is None or found[1].lower() == "multipart":
        raise Invalid(f"{path}.content_type", "content_type", "A content type looks like application/pdf.")
    if found[1].lower() == "message":
        encoding, body = "7bit", _embedded(attachment.content, path)
    else:
        encoding, body = "base64", base64_lines(attachment.content)
    fields = [(TYPE, f"Content-Type: {kind}\r\n".encode()), encoded_as(encoding)]
    fields.append((b"content-disposition", _disposition(disposition, _filename(attachment, path))))
    if attachment.content_id:
        identified = f"Content-ID: <{_content_id(attachment.content_id, path)}>\r\n".encode()
        fields.append((b"content-id", identified))
    return head_of(*fields), body


def _embedded(raw: bytes, path: str) -> bytes:
    """A message within a message is never encoded (RFC 2046 §5.2.1)."""
    try:
        content = Content(raw)
    except Invalid:
        content = None
    if content is None or not raw.isascii() or b"\0" in raw or has_long_line(raw):
        raise Invalid(
            f"{path}.content_type",
            "message_embedded",
            "This message cannot travel as a message: attach it as application/octet-stream.",
        )
    return raw


def _filename(attachment: Attachment, path: str) -> str:
    name, at = attachment.filename, f"{path}.filename"
    if not name and not attachment.content_id:
        raise Invalid(at, "filename_missing", "An attachment needs a filename.")
    if _CONTROL.search(name) or _HIDING.search(name):
        raise Invalid(at, "control_characters", "Control characters are not allowed in a filename.")
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise Invalid(at, "filename_path", "A filename is a bare name, without any path.")
    if len(name) > FILENAME_LIMIT:
        raise Invalid(at, "too_long", f"The filename is too long: at most {FILENAME_LIMIT} characters.")
    return name


def _content_id(text: str, path: str) -> str:
    if not _CONTENT_ID.fullmatch(text):
        message = "A content_id holds letters, digits, dots and one @, such as logo@example.org."
        raise Invalid(f"{path}.content_id", "content_id", message)
    return text


def _disposition(kind: str, filename: str) -> bytes:
    """Content-Disposition with the name in ASCII, or in UTF-8 in numbered pieces (RFC 2231 §3, §4)."""
    if not filename:
        return f"Content-Disposition: {kind}\r\n".encode()
    if filename.isascii():
        quoted = filename.replace('"', '\\"')
        return f'Content-Disposition: {kind};\r\n filename="{quoted}"\r\n'.encode()
    pieces = list(percent_pieces(filename))
    if len(pieces) == 1:
        return f"Content-Disposition: {kind};\r\n filename*=utf-8''{pieces[0]}\r\n".encode()
    pieces[0] = f"utf-8''{pieces[0]}"
    numbered = "".join(f";\r\n filename*{number}*={piece}" for number, piece in enumerate(pieces))
    return f"Content-Disposition: {kind}{numbered}\r\n".encode()
