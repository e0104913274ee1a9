"""The bell: whoever commits work rings, and a courier looks at once.

On SQLite a ring is a datagram to a Unix socket beside the database, which the courier that started last
listens to; on PostgreSQL it is a NOTIFY, which every courier hears. NOTIFY holds a lock of the whole database
until its transaction has ended, so it goes in one of its own that waits for no disk: acceptances never queue
behind it.

Promises: a ring is heard after the commit, never before it, costs some microseconds (PostgreSQL: a round
trip), and neither raises nor waits for a courier. It may be lost: couriers look by themselves, too.
`listen` fails by OSError where the bell cannot be hung up, or its line broke.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock

import structlog
from django.db import Error

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.database import on_postgresql, rows

SOCKET_SUFFIX = "-wake"
CHANNEL = "vaguemestre_wake"

_NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%(channel)s, '')"

log = structlog.get_logger("ledger")


def ring() -> None:
    """Have the couriers look for work: at once, or as soon as the transaction at hand is committed."""
    own().on_commit(_ring, robust=True)


async def listen(heard: Callable[[], None]) -> None:
    """Call `heard` once it listens, and then for every ring, until cancelled.

    Raises:
        OSError: it does not, or no more.
    """
    if on_postgresql():
        from vaguemestre.ledger import channel  # noqa: PLC0415  a start on SQLite is quicker without psycopg

        await channel.listen(CHANNEL, heard)
    else:
        await _listen_beside(_database(), heard)


def _ring() -> None:
    if on_postgresql():
        _notify()
    else:
        _send(_database())


def _notify() -> None:
    try:
        rows(_NOTIFY, {"channel": CHANNEL})
    except Error as error:
        log.warning("ring_lost", error=type(error).__name__)


# SQLite


def _database() -> str:
    return str(own().settings_dict["NAME"])


class _Rope:
    """What a process rings by: kept, since to open it costs ten times as much as a ring.

    Raises:
        OSError: the database's folder is not there.
    """

    def __init__(self, database: str) -> None:
        with ExitStack() as opened:
            self._path = opened.enter_context(_path(database))
            self._sender = opened.enter_context(_datagrams())
            self._opened = opened.pop_all()

    def pull(self) -> None:
        self._sender.sendto(b"\0", self._path)

    def let_go(self) -> None:
        self._opened.close()


_ropes: dict[str, _Rope] = {}
_one_at_a_time = Lock()


@atexit.register
def _let_go() -> None:
    while _ropes:
        _ropes.popitem()[1].let_go()


def _send(database: str) -> None:
    # Nobody listens, or has been told as often as the socket holds: either way there is nothing to do. One
    # thread at a time: what another one closes must not be what this one pulls.
    with _one_at_a_time:
        try:
            rope = _ropes.get(database) or _ropes.setdefault(database, _Rope(database))
        except OSError:
            return
        try:
            rope.pull()
        except BlockingIOError:
            return
        except OSError:
            # Perhaps the folder is another one now.
            del _ropes[database]
            rope.let_go()


async def _listen_beside(database: str, heard: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    with _datagrams() as bell:
        # The mode that the socket's file begins with: there is no moment at which others may write to it.
        os.fchmod(bell.fileno(), 0o600)
        with _path(database) as path:
            # Of a courier that is gone, or about to go. It stays at the end, since it may be another's then.
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108  a name below /proc/self/fd is no path to be resolved
            bell.bind(path)
        loop.add_reader(bell.fileno(), _answer, bell, heard)
        try:
            heard()
            await loop.create_future()
        finally:
            loop.remove_reader(bell.fileno())


def _answer(bell: socket.socket, heard: Callable[[], None]) -> None:
    """However often it rang, one look is enough."""
    with suppress(BlockingIOError):
        while True:
            bell.recv(1)
    heard()


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


@contextmanager
def _path(database: str) -> Iterator[str]:
    """Where the socket is. An address holds 107 bytes, whatever the folder's depth: so by a descriptor."""
    folder, name = os.path.split(database)
    descriptor = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}{SOCKET_SUFFIX}"
    finally:
        os.close(descriptor)
