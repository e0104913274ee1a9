"""A link: one TCP connection to a server, as bytes in both directions with bounded memory.

`Link` is an `asyncio.Protocol` rather than a pair of streams: the session asks at any moment, without
waiting, whether bytes arrived that are not due, or whether the other side is gone. What was received before
the end can still be read after it, so that a 250 followed by a reset counts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial
from typing import cast

from vaguemestre.mail.phase import Cause
from vaguemestre.smtp import wire

_READING = 0.001  # seconds that a loop has for what came, before a wait is over
RECEIVE_LIMIT = 65_536  # octets that wait unread; beyond them reading pauses
PIECE = 16_384  # octets that are handed out at once: a flood of short lines is many times as large once split


class LinkLost(Exception):
    """The other side closed or reset, or the network broke."""


def cause_of(error: Exception) -> Cause:
    """The cause that an error of the dialogue stands for."""
    match error:
        case TimeoutError():
            return Cause.TIMEOUT
        case wire.MalformedReply():
            return Cause.MALFORMED
        case _:
            return Cause.LOST


class Link(asyncio.Protocol):
    """See the module. Written and read by one task at a time.

    Attributes:
        peer: the address and port that were dialled.
        encrypted: whether TLS is on.
        received: what came and was not taken yet.
        over: whether the other side is gone.
        closing: the same, asked of the transport: after a reset it knows a turn of the loop before it tells.
    """

    closing: Callable[[], bool]

    def __init__(self, peer: tuple[str, int]) -> None:
        self.peer = peer
        self.encrypted = False
        self.received = bytearray()
        self.over = False
        self._closed = False
        self._writing_paused = False
        self._reading_paused = False
        self._draining = False
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = math.inf  # of whoever waits
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The dial succeeded."""
        # uvloop's transports have the methods and not the base class.
        self._raw = self._transport = cast("asyncio.Transport", transport)
        # Low marks make `drain` wait until all was handed to the system, not until most was.
        self._raw.set_write_buffer_limits(high=0)
        self.closing = self._raw.is_closing  # bare, with no frame of ours: asked at each write

    def upgraded(self, transport: asyncio.Transport) -> None:
        """TLS was set up on top: what follows passes through `transport`."""
        self._transport = transport
        self._writing_paused = self._reading_paused = False
        self.encrypted = True
        # asyncio's TLS transport pauses at high <= size, and never resumes with high=0.
        transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self.received += data
        if len(self.received) > RECEIVE_LIMIT and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The other side will write no more; for SMTP that is the end."""
        self.over = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  every end is the same to us
        """Nothing more will be said."""
        self.over = self._closed = True
        self._disarm()
        self._wake()

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """All was handed over."""
        self._writing_paused = False
        if self._draining:
            self._wake()

    # What the session asks

    @property
    def transport(self) -> asyncio.Transport:
        """What bytes go through: TCP, or TLS on top of it."""
        return self._transport

    @property
    def waiting(self) -> bool:
        """Whether received bytes wait to be read."""
        return bool(self.received)

    def take(self) -> bytes:
        """What was received first, at most `PIECE` of it, perhaps nothing; waits for nothing."""
        data = bytes(self.received[:PIECE])
        del self.received[:PIECE]
        if self._reading_paused and not self.received and not self.over:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    @property
    def unsent(self) -> int:
        """Octets that were written and that the system has not taken yet, as far as is known."""
        below = 0 if self._transport is self._raw else self._raw.get_write_buffer_size()
        return self._transport.get_write_buffer_size() + below

    async def read(self, deadline: float = math.inf) -> bytes:
        """At least one byte.

        Args:
            deadline: on the loop's clock.

        Raises:
            LinkLost: the other side is gone and all it wrote was read.
            TimeoutError: nothing came in time.
        """
        while not self.received:
            if self.over:
                raise LinkLost
            await self._woken(deadline)
        return self.take()

    def write(self, data: bytes | memoryview) -> None:
        """Hand bytes to the transport; to a link that is over they are lost."""
        if not self.over:
            self._transport.write(data)

    async def drain(self, deadline: float = math.inf) -> None:
        """Wait until all that was written is the system's, or until something is received, or the end.

        Raises:
            TimeoutError: none of it in time.
        """
        self._draining = True
        try:
            while self._writing_paused and not self.received and not self.over:
                await self._woken(deadline)
            await self._drain_below(deadline)
        finally:
            self._draining = False

    async def _drain_below(self, deadline: float) -> None:
        """Under TLS the TCP transport below may still hold some, and tells only the TLS layer."""
        clock, pause = asyncio.get_running_loop().time, 0.0
        while self._transport is not self._raw and self._raw.get_write_buffer_size():
            if self.received or self.over:
                return
            if clock() >= deadline:
                raise TimeoutError
            await asyncio.sleep(pause)
            pause = 0.005

    async def close(self) -> None:
        """Close in good order, then wait until it is closed; the caller limits the time and aborts."""
        self._transport.close()
        while not self._closed:
            await self._woken()

    def abort(self) -> None:
        """Close now; nothing that waits is written."""
        self.over = True
        self._disarm()
        self._transport.abort()
        self._raw.abort()
        self._wake()

    def _woken(self, deadline: float = math.inf) -> asyncio.Future[None]:
        """To be awaited: it ends with the next thing that the transport tells, or with the deadline."""
        loop = asyncio.get_running_loop()
        self._waiter, self._deadline = loop.create_future(), deadline
        if deadline < self._rings_at:
            self._arm(loop, deadline)
        return self._waiter

    # Deadlines mostly come later and later, and are hardly ever reached. So one timer stays, and is set again
    # when it rings too early: to make one for each wait, and cancel it, would cost as much as the wait.

    def _arm(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._disarm()
        self._timer, self._rings_at = loop.call_at(at, self._ring, loop), at

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, math.inf

    def _ring(self, loop: asyncio.AbstractEventLoop, *, again: bool = False) -> None:
        self._timer, self._rings_at = None, math.inf
        if self._waiter is None or self._waiter.done() or self._deadline == math.inf:
            return
        if loop.time() < self._deadline:
            self._arm(loop, self._deadline)
        elif not again:
            # A loop that stood still has timers ring before it reads: what came in time is to be read first.
            self._timer = loop.call_later(_READING, partial(self._ring, loop, again=True))
            self._rings_at = -math.inf
        else:
            self._waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
