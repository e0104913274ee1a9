"""Content: header section and body as bytes (RFC 5321 §2.3.9, RFC 5322 §2).

Content never changes after intake; what leaves is rendered from it: From and Reply-To by the route, Bcc and
our own `X-Vaguemestre-` fields removed, missing Date and Message-ID added, a Received field before all. Only
the header block is touched; the body's bytes pass as they came. Rendering is a function of its arguments, so
that a retry is byte-identical (L6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser
from functools import cached_property

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox

HEADER_LIMIT = 1_048_576  # bytes of a header section
LINE_LIMIT = 998  # octets of a line without CRLF, RFC 5321 §4.5.3.1.6

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(?:[^\r]|\r\n[ \t])*\r\n")
_NAME = re.compile(r"[!-9;-~]+")
_PRIVATE = b"x-vaguemestre-"
_REPLACED = frozenset({b"from", b"reply-to", b"sender", b"bcc", b"return-path"})


@dataclass(frozen=True)
class Content:
    """A header section and a body, lines ended by CRLF.

    Raises:
        Invalid: `bare_line_ending` for a bare CR or LF (RFC 5321 §2.3.8: smuggling), `header_syntax`,
            `header_size`, `nul`.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if _BARE.search(self.raw):
            raise Invalid(
                "content",
                "bare_line_ending",
                "The content holds a bare CR or LF; every line must end with CR LF.",
            )
        if len(self.header_block) > HEADER_LIMIT:
            raise Invalid("content", "header_size", f"The header section exceeds {HEADER_LIMIT} bytes.")
        if b"\0" in self.header_block:
            raise Invalid("content", "nul", "The header section holds a NUL character.")
        if sum(len(raw) for _, raw in self.fields) != len(self.header_block):
            raise Invalid("content", "header_syntax", "A line of the header section is not a header field.")

    @cached_property
    def _split(self) -> int:
        if self.raw.startswith(b"\r\n"):
            return 0
        end = self.raw.find(b"\r\n\r\n")
        return len(self.raw) if end < 0 else end + 2

    @property
    def header_block(self) -> bytes:
        """The fields, each with its CRLF, without the empty line that ends them."""
        return self.raw[: self._split]

    @property
    def body(self) -> bytes:
        """What follows the empty line."""
        return self.raw[self._split + 2 :]

    @cached_property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        """(lower-case name, the whole field's bytes) in order."""
        return tuple((found[1].lower(), found[0]) for found in _fields(self.header_block))

    def has(self, name: str) -> bool:
        """Whether a field of that name is there."""
        return any(known == name.lower().encode() for known, _ in self.fields)

    def text(self, name: str) -> str | None:
        """The first field of that name, decoded and unfolded; None if there is none."""
        for known, raw in self.fields:
            if known == name.lower().encode():
                parsed = BytesHeaderParser(policy=policy.default).parsebytes(raw)
                return str(parsed[name]) if parsed[name] is not None else ""
        return None

    @property
    def eight_bit(self) -> bool:
        """Whether a byte beyond ASCII is in it (RFC 6152)."""
        return not self.raw.isascii()


def _fields(block: bytes) -> Iterator[re.Match[bytes]]:
    position = 0
    while (found := _FIELD.match(block, position)) is not None:
        yield found
        position = found.end()


def header_field(name: str, value: str) -> bytes:
    """One header field, encoded and folded (RFC 5322 §2.2.3, RFC 2047).

    Raises:
        Invalid: a name that is none, or a value with a control character.
    """
    if not _NAME.fullmatch(name):
        raise Invalid("headers", "header_name", f"{name!r} is not the name of a header field.")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise Invalid("headers", "control_characters", f"The header {name} holds a control character.")
    return policy.SMTP.fold_binary(name, policy.SMTP.header_store_parse(name, value)[1])


def mailbox_field(name: str, mailbox: NamedMailbox) -> bytes:
    """A field that holds one mailbox: From, Reply-To."""
    return header_field(name, mailbox.header())


@dataclass(frozen=True)
class Rendering:
    """What the route changes in a content, and the trace that goes before it.

    Attributes:
        sender: the From that leaves; None keeps the fields From and Sender as they are.
        reply_to: the Reply-To that leaves; None removes it.
        received: our trace field (RFC 5321 §4.4), with the time of acceptance.
        message_id: added when the content has none.
        date: added when the content has none, as an RFC 5322 date.
    """

    sender: NamedMailbox | None
    reply_to: NamedMailbox | str | None
    received: str
    message_id: str
    date: str


def render(content: Content, rendering: Rendering) -> bytes:
    """The bytes that leave: see the module."""
    kept = [raw for name, raw in content.fields if not _dropped(name, rendering)]
    added = [header_field("Received", rendering.received)]
    if rendering.sender is not None:
        added.append(mailbox_field("From", rendering.sender))
    if rendering.reply_to is not None:
        reply_to = rendering.reply_to
        added.append(header_field("Reply-To", reply_to if isinstance(reply_to, str) else reply_to.header()))
    if not content.has("date"):
        added.append(header_field("Date", rendering.date))
    if not content.has("message-id"):
        added.append(header_field("Message-ID", rendering.message_id))
    return b"".join((*added, *kept, b"\r\n", content.body))


def _dropped(name: bytes, rendering: Rendering) -> bool:
    if name.startswith(_PRIVATE):
        return True
    if rendering.sender is None and name in {b"from", b"sender"}:
        return False
    return name in _REPLACED
