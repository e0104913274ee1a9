"""A server's reply: code, enhanced status, text (RFC 5321 §4.2, RFC 2034, RFC 3463).

A `Reply` is always what the server said. Its text was made safe before it got here (`printable`): control
and bidirectional characters are shown as escapes, and it is at most 2,000 characters long.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

TEXT_LIMIT = 2_000

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")


def printable(raw: bytes | str, limit: int = TEXT_LIMIT) -> str:
    """Foreign text as it may be stored and shown: no control, format or surrogate characters.

    Args:
        raw: bytes are read as UTF-8, then, where they are not, as Latin-1.
        limit: the length in characters beyond which it is cut, with an ellipsis.
    """
    text = _decoded(raw) if isinstance(raw, bytes) else raw
    if len(text) <= limit and text.replace("\n", "").isprintable():
        return text  # as nearly all: no character of the categories below
    safe = "".join(_shown(character) for character in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        point = ord(character)
        return f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}"
    return character


@dataclass(frozen=True)
class EnhancedStatus:
    """class.subject.detail of RFC 3463 §2."""

    klass: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        code: 200 to 599, three digits.
        text: the lines without their codes, joined by newlines, made safe.
    """

    code: int
    text: str

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"no reply code: {self.code}")

    @cached_property
    def enhanced(self) -> EnhancedStatus | None:
        """The enhanced status at the start of the text, if its class agrees with the code (RFC 2034 §4)."""
        found = _ENHANCED.match(self.text)
        if found is None or int(found[1]) != self.code // 100:
            return None
        return EnhancedStatus(int(found[1]), int(found[2]), int(found[3]))

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """As the API shows it. Servers say the same few over and over: nobody changes the value."""
        enhanced = None if self.enhanced is None else str(self.enhanced)
        return {"code": self.code, "enhanced": enhanced, "text": self.text}

    @property
    def positive(self) -> bool:
        """2yz: done."""
        return self.code // 100 == 2

    @property
    def intermediate(self) -> bool:
        """3yz: go on."""
        return self.code // 100 == 3

    @property
    def transient(self) -> bool:
        """4yz: not now."""
        return self.code // 100 == 4

    @property
    def permanent(self) -> bool:
        """5yz: not ever, as it is."""
        return self.code // 100 == 5

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()
