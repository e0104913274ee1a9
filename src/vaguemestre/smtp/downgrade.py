"""Content for a server that takes less: 8-bit parts re-encoded, long lines broken (RFC 6152 §3, RFC 2045
§6).

Only what needs it is touched, every other byte stays: a part with a byte beyond ASCII, where 8BITMIME is
not offered, or with a line beyond 998 octets (RFC 5321 §4.5.3.1.6), becomes quoted-printable if it is text
and base64 otherwise; raw bytes in header fields become encoded words where SMTPUTF8 is not offered. The
result is a function of its arguments, so that a retry is byte-identical.

What cannot be helped, such as parts nested beyond reason or an encoding nobody knows, leaves as it came.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from dataclasses import dataclass

from vaguemestre.mail.content import address_field, has_long_line
from vaguemestre.mail.described import described
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import text_field
from vaguemestre.mail.parts import DEPTH, FIELD, border_of, kind_of, split, value_of

_OF_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})
_OF_PARTS = frozenset({"content-type", "content-disposition"})
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})


def fitted(content: bytes, *, eight_bit: bool, smtputf8: bool) -> bytes:
    """The content as a server may be given it that announced these extensions, or did not."""
    return _Fitting(eight_bit, smtputf8 and eight_bit).entity(content, 0)


@dataclass(frozen=True)
class _Fitting:
    """What the server takes."""

    eight_bit: bool
    smtputf8: bool

    def _fits(self, octets: bytes) -> bool:
        return (self.eight_bit or octets.isascii()) and not has_long_line(octets)

    def _header_fits(self, octets: bytes) -> bool:
        return (self.smtputf8 or octets.isascii()) and not has_long_line(octets)

    def entity(self, entity: bytes, depth: int) -> bytes:
        """A message, or a part of one."""
        header, body = split(entity)
        body_fits, header_fits = self._fits(body), self._header_fits(header)
        if (body_fits and header_fits) or depth > DEPTH:
            return entity
        if not body_fits:
            header, body = self._body(header, body, depth)
        if not header_fits:
            header = self._header(header)
        return header + b"\r\n" + body

    def _body(self, header: bytes, body: bytes, depth: int) -> tuple[bytes, bytes]:
        kind, encoding = kind_of(header), value_of(header, b"content-transfer-encoding").lower()
        border = border_of(kind)
        if border is not None:
            body = self._parts(body, border, depth)
        elif kind.kind == "message/rfc822":
            body = self.entity(body, depth + 1)
        else:
            return _recoded(header, body, encoding, as_text=kind.main in {"text", "message"})
        lowered = body.isascii() and encoding in {"8bit", "binary"}
        return (_with_encoding(header, b"7bit") if lowered else header), body

    def _parts(self, body: bytes, border: re.Pattern[bytes], depth: int) -> bytes:
        """Each part between its delimiters; preamble and epilogue stay."""
        body = b"\r\n" + body
        pieces, position, closed = [], 0, True
        for found in border.finditer(body):
            inner = body[position : found.start()]
            pieces += [inner if closed else self.entity(inner, depth + 1), found[0]]
            position, closed = found.end(), bool(found[1])
        rest = body[position:]
        return b"".join((*pieces, rest if closed else self.entity(rest, depth + 1)))[2:]

    def _header(self, header: bytes) -> bytes:
        return b"".join(
            found[0] if self._header_fits(found[0]) else _refolded(found) for found in FIELD.finditer(header)
        )


def _recoded(header: bytes, body: bytes, encoding: str, *, as_text: bool) -> tuple[bytes, bytes]:
    """A leaf in an encoding that fits everywhere."""
    if encoding in _IDENTITY:
        name = b"quoted-printable" if as_text else b"base64"
        return _with_encoding(header, name), _quoted(body) if as_text else _base64(body)
    if encoding == "quoted-printable":
        return header, _quoted(binascii.a2b_qp(body))
    if encoding == "base64":
        with contextlib.suppress(binascii.Error):
            return header, _base64(base64.b64decode(body))
    return header, body


def _quoted(body: bytes) -> bytes:
    quoted = binascii.b2a_qp(body, quotetabs=False, istext=True)
    # Without a CRLF to learn from, soft breaks come out with LF alone.
    return quoted if b"\r\n" in body else quoted.replace(b"=\n", b"=\r\n")


def _base64(body: bytes) -> bytes:
    return base64.encodebytes(body).replace(b"\n", b"\r\n")


def _with_encoding(header: bytes, encoding: bytes) -> bytes:
    """The header with that Content-Transfer-Encoding in the place of the old one, else at its end."""
    field = b"Content-Transfer-Encoding: " + encoding + b"\r\n"
    kept = [(found[1].lower(), found[0]) for found in FIELD.finditer(header)]
    if not any(name == b"content-transfer-encoding" for name, _ in kept):
        return header + field
    return b"".join(field if name == b"content-transfer-encoding" else raw for name, raw in kept)


def _refolded(found: re.Match[bytes]) -> bytes:
    """The field with encoded words (RFC 2047) and short lines; as it came where that cannot be done."""
    value = re.sub(rb"\r\n([ \t])", rb"\1", found[2]).strip()
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    name, text = found[1].decode("ascii"), text.replace("\t", " ")
    try:
        if name.lower() in _OF_ADDRESSES:
            return address_field(name, text)
        if name.lower() in _OF_PARTS:
            return described(text).wire(name)  # names of files have an encoding of their own (RFC 2231)
        return text_field(name, text)
    except (Invalid, ValueError, LookupError):
        return found[0]
