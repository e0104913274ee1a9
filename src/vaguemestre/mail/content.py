"""Content: header section and body as bytes (RFC 5321 §2.3.9, RFC 5322 §2).

Content never changes after intake; what leaves is rendered from it: From and Reply-To by the route, Bcc and
our own `X-Vaguemestre-` fields removed, missing Date and Message-ID added, a Received field before all. Only
the header block is touched; the body's bytes pass as they came. Rendering is a function of its arguments, so
that a retry is byte-identical (L6).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import field

from vaguemestre.mail.address_list import parse_addresses
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import mailboxes_field, raw_value, readable, text_field
from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.mail.value import value

HEADER_LIMIT = 1_048_576  # bytes of a header section
HEADER_FIELDS = 5_000  # of a header section: each costs time, and everybody else waits
LINE_LIMIT = 998  # octets of a line without CRLF, RFC 5321 §4.5.3.1.6

type Field = tuple[bytes, bytes]  # its name in small letters, and all of it with its CRLF

# Tried at the beginnings of lines alone: what is no field is passed over in linear time.
_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:[^\r]*+(?:\r\n[ \t][^\r]*+)*+\r\n)", re.MULTILINE)
_PRIVATE = b"x-vaguemestre-"
_REMOVED = frozenset({b"reply-to", b"bcc", b"return-path"})
_REPLACED = _REMOVED | {b"from", b"sender"}  # where another From leaves


@value
class Content:
    """A header section and a body, lines ended by CRLF.

    Attributes:
        header_block: the fields, each with its CRLF, without the empty line that ends them.
        fields: in order.

    Raises:
        Invalid: `bare_line_ending` for a bare CR or LF (RFC 5321 §2.3.8: smuggling), `header_syntax`,
            `header_size`, `header_fields`, `nul`.
    """

    raw: bytes
    header_block: bytes = field(init=False, repr=False, compare=False)
    fields: tuple[Field, ...] = field(init=False, repr=False, compare=False)

    @classmethod
    def of(cls, fields: Sequence[Field], body: bytes) -> Content:
        """Of fields as `header` writes them, and a body that has no bare CR or LF.

        Only their size is looked at: what its writer has put together need not be taken apart for that.
        """
        content, block = cls.__new__(cls), b"".join([raw for _, raw in fields])
        if len(block) > HEADER_LIMIT:
            raise _too_large()
        # While it is made, and never again.
        content.raw, content.fields = b"".join((block, b"\r\n", body)), tuple(fields)  # type: ignore[misc]
        content.header_block = block  # type: ignore[misc]
        return content

    def __post_init__(self) -> None:
        if has_bare_line_ending(self.raw):
            raise Invalid(
                "content",
                "bare_line_ending",
                "The content holds a bare CR or LF; every line must end with CR LF.",
            )
        block = self.raw[: header_end(self.raw)]
        if len(block) > HEADER_LIMIT:
            raise _too_large()
        if len(block) > 2 * HEADER_FIELDS and _unfolded(block) > HEADER_FIELDS:
            message = f"The header section has more than {HEADER_FIELDS} fields."
            raise Invalid("content", "header_fields", message)
        if block.find(b"\0") >= 0:
            raise Invalid("content", "nul", "The header section holds a NUL character.")
        fields = _simple_fields(block)
        if fields is None:
            fields = _any_fields(block)
            if sum([len(raw) for _, raw in fields]) != len(block):
                message = "A line of the header section is not a header field."
                raise Invalid("content", "header_syntax", message)
        self.header_block, self.fields = block, fields  # type: ignore[misc]  # while it is made

    @property
    def sha256(self) -> str:
        """Of all of it, in hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def body(self) -> bytes:
        """What follows the empty line."""
        return self.raw[len(self.header_block) + 2 :]

    def has(self, name: str) -> bool:
        """Whether a field of that name is there."""
        return self._first(name) is not None

    def text(self, name: str) -> str | None:
        """The first field of that name, unfolded and decoded for people; None if there is none."""
        value = self.value(name)
        return None if value is None else readable(value)

    def value(self, name: str) -> str | None:
        """The first field of that name, unfolded, its encoded words as they are; None if there is none."""
        found = self._first(name)
        return None if found is None else raw_value(found)

    def _first(self, name: str) -> bytes | None:
        wanted = name.lower().encode()
        return next((raw for known, raw in self.fields if known == wanted), None)

    def mailboxes(self, name: str, limit: int) -> tuple[NamedMailbox, ...]:
        """The addresses in all fields of that name.

        Raises:
            Invalid: `address_syntax` or `recipients_many`, at the field's name in lower case.
        """
        wanted = name.lower().encode()
        values = [raw_value(raw) for known, raw in self.fields if known == wanted]
        return parse_addresses(",".join(values), name.lower(), limit)


def header_end(raw: bytes | bytearray) -> int | None:
    """Where the header section ends in a content, or in its beginning; None where that is not in it."""
    if raw.startswith(b"\r\n"):
        return 0
    end = raw.find(b"\r\n\r\n")
    return None if end < 0 else end + 2


def has_long_line(raw: bytes) -> bool:
    """Whether a line is beyond `LINE_LIMIT`: looks where lines end once in a thousand octets."""
    start, last = 0, len(raw) - LINE_LIMIT
    while start < last:
        end = raw.rfind(b"\r\n", start, start + LINE_LIMIT + 2)
        if end < 0:
            return True
        start = end + 2
    return False


def _unfolded(block: bytes) -> int:
    """How many lines of a header section begin a field."""
    return block.count(b"\r\n") - block.count(b"\r\n ") - block.count(b"\r\n\t")


def _too_large() -> Invalid:
    return Invalid("content", "header_size", f"The header section exceeds {HEADER_LIMIT} bytes.")


def _fields(block: bytes) -> tuple[Field, ...]:
    """The lower-case name and the bytes of each field; nothing of what is no field."""
    fields = _simple_fields(block)
    return _any_fields(block) if fields is None else fields


def _simple_fields(block: bytes) -> tuple[Field, ...] | None:
    """The same where each line is a field of a simple name, as mostly: no pattern is tried."""
    fields = tuple([(line.partition(b":")[0].lower(), line) for line in block.splitlines(keepends=True)])
    names = [name for name, _ in fields]
    if b"" in names or not b"".join(names).replace(b"-", b"").isalnum() or not block.endswith(b"\r\n"):
        return None
    return fields


def _any_fields(block: bytes) -> tuple[Field, ...]:
    return tuple([(name.lower(), raw) for raw, name in _FIELD.findall(block)])


def address_field(name: str, value: str) -> bytes:
    """A field of addresses given as text, such as a submitter's Reply-To."""
    try:
        mailboxes = parse_addresses(value, name.lower(), limit=100)
    except Invalid:
        # What the submitter wrote and no parser reads goes on as it came.
        return text_field(name, value)
    return mailboxes_field(name, mailboxes) if mailboxes else text_field(name, value)


@value
class Rendering:
    """What the route changes in a content, and the trace that goes before it: fields as they are written.

    Attributes:
        sender: the From that leaves; b"" keeps the fields From and Sender as they are.
        reply_to: the Reply-To that leaves; b"" removes it.
        received: our trace field (RFC 5321 §4.4), with the time of acceptance.
        message_id: the identifier that is added when the content has none.
        date: the Date that is added when the content has none.
        added: further fields, name and value, each added when the content has none of that name.
    """

    sender: bytes
    reply_to: bytes
    received: bytes
    message_id: str
    date: bytes
    added: tuple[tuple[str, str], ...] = ()


def render_header(block: bytes, rendering: Rendering) -> bytes:
    """The header section that leaves, of the fields that came; without the empty line that ends it."""
    fields = _fields(block)
    names = {name for name, _ in fields}
    dropped = _REPLACED if rendering.sender else _REMOVED
    written = [rendering.received, rendering.sender, rendering.reply_to]
    if b"date" not in names:
        written.append(rendering.date)
    if b"message-id" not in names:
        written.append(text_field("Message-ID", rendering.message_id))
    written += [text_field(*one) for one in rendering.added if one[0].lower().encode() not in names]
    written += [raw for name, raw in fields if name not in dropped and not name.startswith(_PRIVATE)]
    return b"".join(written)
