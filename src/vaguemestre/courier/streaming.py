"""A large content on its way out: read from the ledger piece by piece, never put together.

One pass over the pieces tells what a server must be able to take (`Stored.scanned`); a second one hands them
over. Only where the server takes less, and the content must be re-encoded, is it held in memory as a whole:
one such content at a time (`WHOLE`), until its result lies in a file without a name beside the data, from
where it is read like any other. Six sessions with 10 MiB of 8-bit text each, thrice as much in
quoted-printable, had 181 MiB of results in memory. Where the disk takes none, they stay there all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass

from django.conf import settings

from vaguemestre.ledger import contents
from vaguemestre.ledger.accept import CHUNK
from vaguemestre.ledger.contents import Outline
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.content import LINE_LIMIT
from vaguemestre.smtp.body import Body, Held
from vaguemestre.smtp.wire import BLOCK

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
            body = await Held(whole).fitted(eight_bit=eight_bit, smtputf8=smtputf8)
            if isinstance(body, Held) and body.size > BLOCK:
                with contextlib.suppress(OSError):
                    return await asyncio.to_thread(Spooled, body)
            return body


class Spooled:
    """A `smtp.body.Body` in a file that is gone with it.

    Raises:
        OSError: the disk takes none.
    """

    def __init__(self, body: Held) -> None:
        self.size, self.ascii, self.short_lines = body.size, body.ascii, body.short_lines
        self.header = body.header
        # Not where temporary files lie, which is memory often enough.
        self._file = os.open(settings.ENVIRONMENT.data_dir, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._file).atexit = False
        written, octets = 0, memoryview(body.content)
        while written < self.size:
            written += os.write(self._file, octets[written:])

    async def blocks(self) -> AsyncIterator[bytes]:
        """In order."""
        for start in range(0, self.size, BLOCK):
            yield await asyncio.to_thread(self._read, min(BLOCK, self.size - start), start)

    async def fitted(self, *, eight_bit: bool, smtputf8: bool) -> Body:
        """It is: a second time is asked of what it was made of."""
        del eight_bit, smtputf8
        return self

    def _read(self, octets: int, start: int) -> bytes:
        found = os.pread(self._file, octets, start)
        if len(found) < octets:
            raise OSError(errno.EIO, "a file of a content on its way out is shorter than it was made")
        return found


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
