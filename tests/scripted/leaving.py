"""How a server of the kit leaves: nobody is taken any more, and no connection stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

TURNS = 5  # of the loop, from a connection in the queue to a dialogue that runs


async def caught_up() -> None:
    """Whoever dialled before this has its dialogue now. Of a busy machine's server it may have none yet."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def leave(server: asyncio.Server, dialogues: Collection[asyncio.Task[None]]) -> None:
    """Take nobody, and end what runs.

    A dialogue closes its connection, so each has to have begun: asyncio forgets what it accepts as it closes.
    """
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await caught_up()
    server.close()
    for task in list(dialogues):
        task.cancel()
    await asyncio.gather(*dialogues, return_exceptions=True)
