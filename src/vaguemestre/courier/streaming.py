"""A large content on its way out: read from the ledger piece by piece, never put together.

One pass over the pieces tells what a server must be able to take (`Stored.scanned`); a second one hands them
over. Only where the server takes less, and the content must be re-encoded, is it held in memory as a whole.

`WHOLE` lets one such content through at a time: it bounds what re-encoding takes besides its result, not the
results. Each of those stays until its message is settled, so that a session holds one, and by DATA the next
message's too: six sessions with 10 MiB of 8-bit text each, thrice as much in quoted-printable, have 181 MiB.
A permit kept for so long would have a session wait for itself: it asks for its next before that is settled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from vaguemestre.ledger import contents
from vaguemestre.ledger.accept import CHUNK
from vaguemestre.ledger.contents import Outline
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.content import LINE_LIMIT
from vaguemestre.smtp.body import Body, Held

WHOLE = asyncio.Semaphore(1)


@dataclass(frozen=True, eq=False)
class Stored:
    """A `smtp.body.Body` whose octets stay in the ledger."""

    threads: LedgerThreads
    outline: Outline
    ascii: bool
    short_lines: bool

    @classmethod
    async def scanned(cls, threads: LedgerThreads, outline: Outline) -> Stored:
        """With what one look at every octet tells."""
        scan = _Scan()
        async for block in _blocks(threads, outline):
            scan.feed(block)
        return cls(threads, outline, scan.ascii, scan.short_lines)

    @property
    def size(self) -> int:
        """Octets."""
        return self.outline.size

    @property
    def header(self) -> bytes:
        """The header section, with the CRLF of its last line."""
        return self.outline.head[:-2]

    def blocks(self) -> AsyncIterator[bytes]:
        """In order, at most 256 KiB each."""
        return _blocks(self.threads, self.outline)

    async def fitted(self, *, eight_bit: bool, smtputf8: bool) -> Body:
        """As `downgrade.fitted`: the same where the server takes it as it is."""
        if (self.ascii or (eight_bit and (smtputf8 or self.header.isascii()))) and self.short_lines:
            return self
        async with WHOLE:
            whole = b"".join([block async for block in self.blocks()])
            return await Held(whole).fitted(eight_bit=eight_bit, smtputf8=smtputf8)


async def _blocks(threads: LedgerThreads, outline: Outline) -> AsyncIterator[bytes]:
    yield outline.head
    position, skipped = divmod(outline.start, CHUNK)
    while position * CHUNK < outline.stored:
        piece = await threads.run(contents.piece, outline.message_id, position)
        yield piece[skipped:] if skipped else piece
        position, skipped = position + 1, 0


@dataclass
class _Scan:
    """What was seen of a content until now."""

    ascii: bool = True
    short_lines: bool = True
    _open: int = 0  # octets of the line that the last block left open

    def feed(self, block: bytes) -> None:
        self.ascii = self.ascii and block.isascii()
        if not self.short_lines:
            return
        lines = block.split(b"\n")
        longest = max(map(len, lines[1:-1]), default=0)
        self.short_lines = max(self._open + len(lines[0]), longest) <= LINE_LIMIT + 1
        self._open = len(lines[-1]) if len(lines) > 1 else self._open + len(lines[0])
        if self._open > LINE_LIMIT + 1:
            self.short_lines = False
