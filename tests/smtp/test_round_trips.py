"""How many round trips a message costs: what the manners are for.

Counted, not timed: a proxy hands on what the client wrote until it wrote no more, then what the server said to
it. Each such turn is one round trip on a slow network.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from scripted.client import SHORT, hop_to
from smtp.kit import Queue, numbered
from smtp.swallow import swallowing
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

QUIET = 0.005  # seconds without a byte, until a side is taken to wait for the other


async def until_quiet(reader):
    data = await reader.read(1 << 20)
    with contextlib.suppress(TimeoutError):
        while data:
            async with asyncio.timeout(QUIET):
                more = await reader.read(1 << 20)
            if not more:
                break
            data += more
    return data


class Turns:
    """Counts them, between a client and the server at `to`."""

    port = count = 0

    def __init__(self, to):
        self._to = to

    async def accept(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        writer.write(await until_quiet(there))
        while data := await until_quiet(reader):
            self.count += 1
            back.write(data)
            writer.write(await until_quiet(there))
        for one in (back, writer):
            one.close()
            await one.wait_closed()


@pytest.mark.parametrize(
    ("manner", "messages", "most"),
    [(Manner.SINGLE, 10, 4.0), (Manner.DATA, 100, 1.1), (Manner.BDAT, 200, 0.15)],
)
async def test_round_trips_for_each_message(network, manner, messages, most):
    flow = Queue(numbered(messages))
    async with swallowing() as swallow:
        turns = Turns(swallow.port)
        server = await asyncio.start_server(turns.accept, "127.0.0.1", 0)
        turns.port = server.sockets[0].getsockname()[1]
        session = await open_session(hop_to(turns), network, SHORT)
        opening = turns.count
        await convey(session, flow, manner)
        trips = turns.count - opening
        await session.quit()
        server.close()
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert swallow.messages == messages
    assert trips / messages <= most
