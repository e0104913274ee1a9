"""One accepted TCP connection, read by lines, octets or a final dot; it knows what came too early."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import cast

FULL = 256 * 1024  # octets that nobody asked for yet, at which reading pauses as a busy server's does
LINGER = 2.0  # seconds that a closed connection still swallows what comes


class Plug(asyncio.Protocol):
    """Its peer's bytes, in order.

    Attributes:
        ahead: octets that were received and not yet asked for.
        peer: the other side's address.
    """

    def __init__(self, begun: Callable[[Plug], None], hear: Callable[[bytes], None], *, paused: bool) -> None:
        self._begun, self._hear, self._paused = begun, hear, paused
        self._held = bytearray()
        self._more = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended: Exception | None = None
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.peer = transport.get_extra_info("peername")[0]
        if self._paused:
            transport.pause_reading()
        self._begun(self)

    def data_received(self, data: bytes) -> None:
        self._hear(data)
        if self._deaf:
            return
        self._held += data
        if len(self._held) > FULL:
            self._transport.pause_reading()
            self._paused = True
        self._more.set()

    def eof_received(self) -> bool:
        self._ended = self._ended or EOFError("the peer closed")
        self._more.set()
        return self._transport.can_write_eof()  # not over TLS

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = exc or self._ended or EOFError("closed")
        self._more.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    @property
    def ahead(self) -> int:
        return len(self._held)

    @property
    def over(self) -> bool:
        """Whether the peer is gone, or went silent for good."""
        return self._ended is not None

    def _take(self, count: int) -> bytes:
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

    async def _wait(self) -> None:
        """Until there is more than now. Raises EOFError or OSError at the end."""
        if self._ended is not None:
            raise self._ended
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._more.clear()
        await self._more.wait()

    async def _until(self, mark: bytes, start: int = 0) -> bytes:
        while (found := self._held.find(mark, start)) < 0:
            start = max(start, len(self._held) - len(mark) + 1)
            await self._wait()
        return self._take(found + len(mark))

    async def line(self) -> bytes:
        """Up to and with the next line feed."""
        return await self._until(b"\n")

    async def octets(self, count: int) -> bytes:
        """So many."""
        while len(self._held) < count:
            await self._wait()
        return self._take(count)

    async def content(self) -> bytes:
        """Up to and with the final dot's line, as it was written."""
        while len(self._held) < 3:
            await self._wait()
        return self._take(3) if self._held.startswith(b".\r\n") else await self._until(b"\r\n.\r\n")

    async def write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()

    def hold(self) -> None:
        """Read no further for now: what comes next belongs to TLS."""
        self._transport.pause_reading()
        self._paused = True

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Become the TLS server; what was read and not asked for is forgotten."""
        self._held.clear()
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, self, context, server_side=True)
        assert transport is not None
        self._transport, self._paused = transport, False

    async def drop(self) -> None:
        """Close with FIN, though the peer may still be writing."""
        self._deaf = True
        self._held.clear()
        if not self._transport.can_write_eof():
            self._transport.close()
        elif self._ended is None:
            self._transport.write_eof()
            with contextlib.suppress(EOFError, OSError, TimeoutError):
                async with asyncio.timeout(LINGER):
                    while True:
                        await self._wait()

    def reset(self) -> None:
        """Close with RST."""
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()
