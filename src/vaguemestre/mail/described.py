"""What a field says of its part: Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183, RFC 2231).

Whoever hands a message over writes them as they like, and a page or a courier waits for the reading. So it
takes time linear in the length, whatever is written, and never fails: what cannot be read is not there. The
standard library's readers do neither: a few thousand semicolons keep them for minutes, and at nested
parentheses they raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from vaguemestre.mail.header import charset_named

LONGEST = 16_384  # characters of a value; what stands behind them is passed over
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^;]*+)', re.DOTALL)
_TOKEN = re.compile(r"[!#$%&'+.0-9A-Z^_`a-z{|}~-]{1,100}")
_SIMPLE = re.compile(r"[ -~]{0,200}")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PIECE = re.compile(r"([^*]+)\*(?:([0-9]{1,4})(\*?))?")  # name*, name*0, name*0*


@dataclass(frozen=True)
class Described:
    """A field's value, read.

    Attributes:
        kind: what stands before the first semicolon, in small letters: `text/plain`, `attachment`.
        parameters: by name in small letters; of two alike the first.
    """

    kind: str
    parameters: Mapping[str, str]

    @property
    def main(self) -> str:
        """What stands before the slash: `text`."""
        return self.kind.partition("/")[0]

    def wire(self, name: str) -> bytes:
        """The field of that name in ASCII and short lines; what cannot be a parameter's name is left out.

        Raises:
            UnicodeEncodeError: the kind is not ASCII.
        """
        parts = [f"{name}: {self.kind}"]
        for parameter, text in self.parameters.items():
            if _TOKEN.fullmatch(parameter):
                parts += _parameter(parameter, text)
        return (";\r\n ".join(parts) + "\r\n").encode("ascii")


def described(value: str) -> Described:
    """What a field's value says; the pieces of a parameter are put together."""
    kind, semicolon, rest = value[:LONGEST].partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, str, bool]]] = {}
    for found in _PARAMETER.finditer(semicolon + rest):
        name, text = found[1].lower(), _unquoted(found[2])
        piece = _PIECE.fullmatch(name)
        if piece is None:
            plain.setdefault(name, text)
        else:
            encoded = piece[2] is None or piece[3] == "*"
            pieces.setdefault(piece[1], []).append((int(piece[2] or 0), text, encoded))
    return Described(kind.strip().lower(), plain | {name: _whole(found) for name, found in pieces.items()})


def percent_pieces(text: str) -> Iterator[str]:
    """The text in UTF-8 and percent-encoded, in pieces of a line each (RFC 2231 §3)."""
    piece = ""
    for character in text:
        safe = character.isascii() and (character.isalnum() or character in "-._~")
        octets = character if safe else "".join(f"%{octet:02X}" for octet in character.encode())
        if len(piece) + len(octets) > 55:
            yield piece
            piece = ""
        piece += octets
    yield piece


def _parameter(name: str, text: str) -> list[str]:
    if _SIMPLE.fullmatch(text):
        quoted = text.replace("\\", r"\\").replace('"', r"\"")
        return [f'{name}="{quoted}"']
    first, *others = percent_pieces(text.encode("utf-8", "replace").decode())
    if not others:
        return [f"{name}*=utf-8''{first}"]
    pieces = enumerate(others, 1)
    return [f"{name}*0*=utf-8''{first}", *(f"{name}*{number}*={piece}" for number, piece in pieces)]


def _unquoted(text: str) -> str:
    text = text.strip()
    return _ESCAPED.sub(r"\1", text[1:-1]) if len(text) > 1 and text[0] == text[-1] == '"' else text


def _whole(pieces: Sequence[tuple[int, str, bool]]) -> str:
    """A parameter in pieces, some of them percent-encoded (RFC 2231 §3, §4)."""
    ordered = sorted(pieces, key=lambda piece: piece[0])
    charset, extended = "utf-8", any(encoded for _, _, encoded in ordered)
    octets = b"".join(
        unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace") for _, text, encoded in ordered
    )
    if extended and octets.count(b"'") >= 2:
        told, _, octets = octets.split(b"'", 2)
        charset = charset_named(told.decode("ascii", "replace")) or "utf-8"
    return octets.decode(charset, "replace")
