"""The entities that a body consists of, as bytes: texts, and what holds several of them (RFC 2045, RFC 2046).

A body made here is of 7-bit lines of at most 998 octets, and the same for the same texts. A text is carried
as it is where it can be, else in quoted-printable or base64. `alternative` makes at once what most messages
have, a text and the same as HTML; `multipart` of `text_part`s is its general way.

A control character in a text raises `Invalid` at its path.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from functools import cache, lru_cache

from vaguemestre.mail.content import Field, has_long_line
from vaguemestre.mail.errors import Invalid

TYPE = b"content-type"
_BASE64_LINE = 76  # characters, RFC 2045 §6.8
_NO_TEXT = bytes([*range(0x09), 0x0B, *range(0x0E, 0x20), 0x7F])
_AS_NUL = bytes.maketrans(_NO_TEXT, bytes(len(_NO_TEXT)))
_BEYOND_ASCII = bytes(range(128, 256))

_USUAL = "=_alternative"  # the boundary, where no part has it

type Head = tuple[Sequence[Field], bytes]  # fields, and the same with the empty line behind them
type Part = tuple[Head, bytes]  # a MIME entity: its head, and its body without a final line break


def alternative(text: str | None, html: str | None) -> Part | None:
    """A text and the same as HTML; None where the general way has more to do than this.

    That is where one of them is not there, is not of short lines of ASCII, or may hold the boundary. None may
    hold a control character.
    """
    if not text or not html or text.isspace():
        return None
    if not text.isascii() or not html.isascii() or _may_end(text, html):
        return None
    head, before, between, behind = _alternative()
    raw = b"".join((before, _in_lines(text.encode()), between, _in_lines(html.encode()), behind))
    return None if has_long_line(raw) else (head, raw)


def _may_end(text: str, html: str) -> bool:
    """Whether a boundary is in them; one character is found much quicker not to be there than all of it."""
    return ("_" in text and _USUAL in text) or ("_" in html and _USUAL in html)


@cache
def _alternative() -> tuple[Head, bytes, bytes, bytes]:
    """Its head, and what stands before, between and behind the texts."""
    head, before, between, behind = _framed("alternative", _USUAL.encode())
    plain, html = [_text_head(one, "7bit")[1] for one in ("plain", "html")]
    return head, before + plain, between + html, behind


def multipart(kind: str, parts: Sequence[Part]) -> Part:
    """Parts between boundaries (RFC 2046 §5.1)."""
    pieces = [block + body for (_, block), body in parts]
    named, first, between, last = _framed(kind, _boundary(kind, b"".join(pieces)))
    return named, b"".join((first, between.join(pieces), last))


@lru_cache(maxsize=8)
def _framed(kind: str, boundary: bytes) -> tuple[Head, bytes, bytes, bytes]:
    """The head that names a boundary, and its lines: before, between and behind the parts."""
    described = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n' % (kind.encode(), boundary)
    named = head_of((TYPE, described))
    return named, b"--%b\r\n" % boundary, b"\r\n--%b\r\n" % boundary, b"\r\n--%b--\r\n" % boundary


def head_of(*fields: Field) -> Head:
    """Of the fields that describe an entity."""
    return fields, b"".join([*[raw for _, raw in fields], b"\r\n"])


def _boundary(kind: str, inner: bytes) -> bytes:
    """One that occurs in none of the parts, and is the same for the same ones."""
    boundary = b"=_" + kind.encode()
    if inner.find(b"_") < 0 or inner.find(boundary) < 0:  # one octet is found much quicker not to be there
        return boundary
    checksum = zlib.crc32(inner, len(kind))
    # Not one that begins as the short one: readers compare beginnings of lines.
    while (boundary := f"=-{kind}_{checksum:08x}".encode()) in inner:
        checksum += 1
    return boundary


def text_part(path: str, subtype: str, text: str, *, checked: bool) -> Part:
    """A text; `checked` says that no control character is in it, but tabs and line breaks."""
    encoding, body = _carried(_in_lines(text.encode() if checked else _octets(path, text)))
    return _text_head(subtype, encoding), body


@lru_cache(maxsize=8)
def _text_head(subtype: str, encoding: str) -> Head:
    described = f"Content-Type: text/{subtype}; charset=utf-8\r\n".encode()
    return head_of((TYPE, described), encoded_as(encoding))


def encoded_as(encoding: str) -> Field:
    """The field that says so."""
    return b"content-transfer-encoding", f"Content-Transfer-Encoding: {encoding}\r\n".encode()


def _octets(path: str, text: str) -> bytes:
    """Text in UTF-8. To make all one octet and look for that takes a tenth of a pattern's time."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raw = b"\0"
    if raw.translate(_AS_NUL).find(b"\0") >= 0:
        raise Invalid(path, "control_characters", "There is a control character in the text; remove it.")
    return raw


def _in_lines(raw: bytes) -> bytes:
    """The same with CRLF for each of its line breaks, and behind the last line."""
    if raw.find(b"\r") >= 0:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    raw = raw.replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _carried(raw: bytes) -> tuple[str, bytes]:
    """The plainest encoding in which text passes a 7-bit server."""
    if raw.isascii() and not has_long_line(raw):
        return "7bit", raw
    beyond = len(raw) - len(raw.translate(None, _BEYOND_ASCII))
    if beyond * 6 > max(len(raw), 200):
        return "base64", base64_lines(raw)
    return "quoted-printable", binascii.b2a_qp(raw, istext=True)


def base64_lines(raw: bytes) -> bytes:
    """In lines (RFC 2045 §6.8)."""
    encoded = base64.b64encode(raw)
    starts = range(0, len(encoded), _BASE64_LINE)
    return b"".join(encoded[start : start + _BASE64_LINE] + b"\r\n" for start in starts)
