"""A channel of PostgreSQL (LISTEN), on a connection of its own, without a thread and without polling.

Fails by OSError: the connection could not be made, or broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from django.db import connection
from psycopg.pq.abc import PGconn


async def listen(channel: str, heard: Callable[[], None]) -> None:
    """Call `heard` once it listens, and then whenever something came, until cancelled.

    Raises:
        ConnectionError: it does not, or no more.
    """
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)  # of Django, for its own connections
    try:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as line:
            await line.execute(f"LISTEN {channel}")
            heard()
            await _notified(line.pgconn, heard)
    except psycopg.Error as error:
        raise ConnectionError(str(error).partition("\n")[0]) from error


async def _notified(line: PGconn, heard: Callable[[], None]) -> None:
    """Until the line breaks. By hand, since psycopg's own wait looks up ten times a second."""
    loop, number = asyncio.get_running_loop(), line.socket
    over = loop.create_future()

    def read() -> None:
        try:
            line.consume_input()
            while line.notifies() is not None:
                pass
        except psycopg.Error as error:
            loop.remove_reader(number)
            over.set_exception(error)
        else:
            heard()

    loop.add_reader(number, read)
    try:
        await over
    finally:
        loop.remove_reader(number)
