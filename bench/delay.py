"""A TCP proxy that is as far away as it is told: what a client waits for shows, and nothing else.

    python -m bench.delay UPSTREAM_PORT RTT

Each direction arrives RTT/2 seconds later, in order, piece by piece as it came. A dial costs the client
its handshake: the upstream hears of it 1.5 RTT after the SYN, when the last of three packets would reach it,
so that a greeting is read 2 RTT after the SYN. Throughput has no limit and no slow start. What TCP does by
itself (Nagle's algorithm, delayed acknowledgements) it does as on loopback.

Prints {"port"}. Each line on its standard input is answered with {"dials", "first_at"}: how many came, and
when the first did, on the monotonic clock that all processes share. Ends with its standard input.
"""

import asyncio
import contextlib
import selectors
import sys
from collections import deque

from bench.child import answer_questions, be_prompt


class End(asyncio.Protocol):
    """A socket. What it reads leaves by `peer`, later; each direction ends by itself, as TCP's do."""

    def __init__(self, seconds):
        self.peer = None
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._pieces = deque()  # (when it leaves, bytes or None for the end)
        self._timer = self._transport = None
        self._heard_end = self._said_end = False

    def connection_made(self, transport):
        self._transport = transport
        self._arm()

    def data_received(self, data):
        self.peer.send_later(data)

    def eof_received(self):
        self._heard_end = True
        self.peer.send_later(None)
        return not self._said_end

    def connection_lost(self, _error):
        if not self._heard_end:
            self.peer.send_later(None)

    def send_later(self, piece):
        self._pieces.append((self._loop.time() + self._seconds, piece))
        self._arm()

    def _arm(self):
        if self._timer is None and self._pieces and self._transport is not None:
            self._timer = self._loop.call_at(self._pieces[0][0], self._let_go)

    def _let_go(self):
        self._timer = None
        while self._pieces and self._pieces[0][0] <= self._loop.time():
            piece = self._pieces.popleft()[1]
            if not self._transport.is_closing():
                self._send(piece)
        self._arm()

    def _send(self, piece):
        if piece is not None:
            self._transport.write(piece)
            return
        self._said_end = True
        with contextlib.suppress(OSError):  # it is gone already
            self._transport.write_eof()
        if self._heard_end:
            self._transport.close()


class Proxy:
    """See the module.

    Attributes:
        dials: how many came.
        first_at: when the first came.
    """

    def __init__(self, upstream_port, rtt):
        self.dials, self.first_at = 0, None
        self._upstream_port, self._rtt = upstream_port, rtt
        self._dialling = set()

    async def listen(self):
        """The port."""
        server = await asyncio.get_running_loop().create_server(self._dialled, "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    def tell(self, _question):
        return {"dials": self.dials, "first_at": self.first_at}

    def _dialled(self):
        loop = asyncio.get_running_loop()
        self.dials += 1
        self.first_at = self.first_at or loop.time()
        near, far = End(self._rtt / 2), End(self._rtt / 2)
        near.peer, far.peer = far, near
        dialling = loop.create_task(self._dial(far))
        self._dialling.add(dialling)
        dialling.add_done_callback(self._dialling.discard)
        return near

    async def _dial(self, far):
        await asyncio.sleep(1.5 * self._rtt)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: far, "127.0.0.1", self._upstream_port)


async def main():
    be_prompt()
    upstream_port, rtt = int(sys.argv[1]), float(sys.argv[2])
    proxy = Proxy(upstream_port, rtt)
    await answer_questions({"port": await proxy.listen()}, proxy.tell)


def precise_loop():
    """A loop whose timers do not wait for the next millisecond, as epoll's and uvloop's do."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    asyncio.run(main(), loop_factory=precise_loop)
