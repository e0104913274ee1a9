"""A body: content that is about to leave, its lines ended by CRLF, given out block by block.

What a session writes is a `Body`, so that a large content streams from wherever it is kept and is never held
as a whole. `Held` is one in memory. A bare CR or LF never leaves (RFC 5321 §2.3.8): `Held` refuses it when it
is made, and whoever writes a body looks through its blocks as they pass.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from vaguemestre.mail.content import has_long_line
from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.parts import split
from vaguemestre.smtp.downgrade import fitted
from vaguemestre.smtp.wire import BLOCK, BareLineEnding


class Body(Protocol):
    """Header section and body of one message."""

    @property
    def size(self) -> int:
        """Octets in all."""

    @property
    def ascii(self) -> bool:
        """Whether no octet is beyond ASCII."""

    @property
    def short_lines(self) -> bool:
        """Whether no line is beyond 998 octets (RFC 5321 §4.5.3.1.6)."""

    @property
    def header(self) -> bytes:
        """The header section, with the CRLF of its last line."""

    def blocks(self) -> AsyncIterator[bytes]:
        """The octets in order, at most `wire.BLOCK` at once; may be asked for again."""

    async def fitted(self, *, eight_bit: bool, smtputf8: bool) -> Body:
        """The same for a server that announced these extensions, or did not (`downgrade`)."""


class Held:
    """A body in memory, looked through once.

    Raises:
        BareLineEnding: a CR or LF stands alone in it.
    """

    def __init__(self, content: bytes) -> None:
        if has_bare_line_ending(content):
            raise BareLineEnding("a bare CR or LF in the content")
        self.content = content
        self.size = len(content)
        self.ascii = content.isascii()
        self.short_lines = not has_long_line(content)

    def __repr__(self) -> str:
        return f"<Held {self.size} bytes>"

    @property
    def header(self) -> bytes:
        """The header section, with the CRLF of its last line."""
        return split(self.content)[0]

    async def blocks(self) -> AsyncIterator[bytes]:
        """The octets in order."""
        for start in range(0, self.size, BLOCK):
            yield self.content[start : start + BLOCK]

    async def fitted(self, *, eight_bit: bool, smtputf8: bool) -> Body:
        """The same for a server that announced these extensions, or did not."""
        content = fitted(self.content, eight_bit=eight_bit, smtputf8=smtputf8)
        return self if content is self.content else Held(content)
