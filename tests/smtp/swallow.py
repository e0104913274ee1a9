"""A server that takes everything at once and keeps nothing, for what is measured: memory, and round trips.

async with swallowing() as swallow:
    ...  # dial swallow.port; swallow.messages, swallow.octets
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

_EHLO = b"250-swallow\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n250 CHUNKING\r\n"
_REPLIES = {b"EHLO": _EHLO, b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}


class Swallow(asyncio.Protocol):
    """One connection.

    Attributes:
        messages, octets: what was taken, dots not undone.
    """

    port = messages = octets = 0

    def connection_made(self, transport):
        self._transport = cast("asyncio.Transport", transport)
        self._held = b""
        self._chunk = -1  # octets of a chunk that are still to come
        self._content = False
        transport.write(b"220 swallow\r\n")

    def data_received(self, data):
        self._held += data
        said = []
        while (reply := self._next()) is not None:
            said.append(reply)
        self._transport.write(b"".join(said))

    def _next(self):
        if self._chunk >= 0:
            return self._swallow_chunk()
        if self._content:
            return self._swallow_content()
        line, end, rest = self._held.partition(b"\r\n")
        if not end:
            return None
        self._held = rest
        verb = line[:4]
        if verb == b"BDAT":
            self._chunk = int(line.split()[1])
            self._last = line.endswith(b"LAST")
            return self._swallow_chunk()
        self._content = verb == b"DATA"
        return _REPLIES.get(verb, b"250 ok\r\n")

    def _swallow_chunk(self):
        taken = min(self._chunk, len(self._held))
        type(self).octets += taken
        self._chunk -= taken
        self._held = self._held[taken:]
        if self._chunk:
            return None
        self._chunk = -1
        type(self).messages += self._last
        return b"250 taken\r\n"

    def _swallow_content(self):
        content, end, rest = self._held.partition(b"\r\n.\r\n")
        type(self).octets += len(content) + 2 if end else max(0, len(self._held) - 4)
        self._held = rest if end else self._held[-4:]
        if not end:
            return None
        self._content = False
        type(self).messages += 1
        return b"250 taken\r\n"


@contextlib.asynccontextmanager
async def swallowing():
    """The class of such a server's connections, which counts for all of them together."""
    counting = type("Counting", (Swallow,), {})
    server = await asyncio.get_running_loop().create_server(counting, "127.0.0.1", 0)
    counting.port = server.sockets[0].getsockname()[1]
    async with server:
        yield counting
