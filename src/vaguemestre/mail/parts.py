"""A content taken apart into its parts (RFC 2045, RFC 2046), for whoever shows or re-encodes it.

Promises: time linear in the length, whatever is written, and nothing fails. Parts beyond `DEPTH` levels or
`MOST` in number are not taken apart further.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vaguemestre.mail.described import Described, described
from vaguemestre.mail.header import charset_named, readable

DEPTH = 20  # of parts within parts
MOST = 1_000  # parts of one multipart
# Tried at the beginnings of lines alone: what is no field is passed over in linear time.
FIELD = re.compile(
    rb"^([!-9;-~]++)[ \t]*+:((?:[^\r]|\r\n[ \t]|\r(?!\n))*+)(?:\r\n|\Z)", re.MULTILINE
)  # name and value
_TEXT = described("text/plain")


def split(entity: bytes) -> tuple[bytes, bytes]:
    """Header section with the CRLF of its last line, and body."""
    if entity.startswith(b"\r\n"):
        return b"", entity[2:]
    end = entity.find(b"\r\n\r\n")
    return (entity, b"") if end < 0 else (entity[: end + 2], entity[end + 4 :])


def value_of(header: bytes, name: bytes) -> str:
    """The first field of that name, unfolded; "" for none. What is no UTF-8 is kept in surrogates."""
    for found in FIELD.finditer(header):
        if found[1].lower() == name:
            return found[2].replace(b"\r\n", b"").decode("utf-8", "surrogateescape").strip()
    return ""


def kind_of(header: bytes) -> Described:
    """What a part is; what does not say so is text (RFC 2045 §5.2)."""
    found = described(value_of(header, b"content-type"))
    return found if found.kind.count("/") == 1 else _TEXT


def border_of(kind: Described) -> re.Pattern[bytes] | None:
    """What the delimiters of a multipart look like (RFC 2046 §5.1.1); None where it has none.

    The line break before a delimiter is a part of it, so that one is put before the body that is searched: a
    pattern that begins with these very octets is found ten times as fast as one that may begin a body.
    """
    boundary = kind.parameters.get("boundary", "").rstrip()
    if kind.main != "multipart" or not boundary:
        return None
    octets = re.escape(boundary.encode("utf-8", "surrogateescape"))
    return re.compile(rb"\r\n--" + octets + rb"(--)?[ \t]*+(?:\r\n|\Z)")


@dataclass(frozen=True)
class Part:
    """A content, or a part of one.

    Attributes:
        disposition: what Content-Disposition says of it.
        encoding: in small letters.
        body: as it is encoded.
        parts: of a multipart, those within it.
    """

    kind: Described
    disposition: Described
    encoding: str
    body: bytes = field(repr=False)
    parts: tuple[Part, ...] = ()

    @property
    def attached(self) -> bool:
        """Whether it is to be shown apart from the text."""
        return self.disposition.kind == "attachment"

    @property
    def filename(self) -> str:
        """As it was given, for people; "" for none."""
        given = self.disposition.parameters.get("filename") or self.kind.parameters.get("name", "")
        return readable(given)

    @property
    def octets(self) -> bytes:
        """The body, decoded; as it came where that cannot be done."""
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        if self.encoding == "base64":
            try:
                return base64.b64decode(self.body + b"==")
            except binascii.Error:
                return self.body
        return self.body

    @property
    def text(self) -> str:
        """The body as text, by its charset."""
        charset = charset_named(self.kind.parameters.get("charset", "")) or "utf-8"
        return self.octets.decode(charset, "replace")

    def first(self, kind: str) -> Part | None:
        """The first part of that kind that is not attached, in the order of reading."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if one.kind.kind == kind and not one.attached:
                return one
            waiting += reversed(one.parts)
        return None


def part_of(entity: bytes, depth: int = 0) -> Part:
    """The part, with those within it."""
    header, body = split(entity)
    kind = kind_of(header)
    border = border_of(kind) if depth < DEPTH else None
    return Part(
        kind,
        described(value_of(header, b"content-disposition")),
        value_of(header, b"content-transfer-encoding").lower(),
        body,
        () if border is None else tuple(part_of(inner, depth + 1) for inner in _within(body, border)),
    )


def _within(body: bytes, border: re.Pattern[bytes]) -> Iterator[bytes]:
    """What stands between the delimiters; what follows the last one where it is not closed."""
    start, body = -1, b"\r\n" + body
    for number, found in enumerate(border.finditer(body)):
        if start >= 0:
            yield body[start : found.start()]
        if found[1] or number >= MOST:
            return
        start = found.end()
    if start >= 0:
        yield body[start:]
