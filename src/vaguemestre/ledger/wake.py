"""The bell: whoever commits work rings, and a courier looks at once.

A ring may name the connections that have new mail, where that is all that changed: their lanes then claim
without a look at all that there is.

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
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Lock

import structlog
from django.db import Error

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.database import on_postgresql, rows

SOCKET_SUFFIX = "-wake"
CHANNEL = "vaguemestre_wake"

type Heard = Callable[[Collection[int]], None]  # the connections that a ring names; none where it names none

_NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%(channel)s, %(named)s)"
_MOST = 50  # connections that a ring names
_LONGEST = 1_024  # octets of a ring: so many of nineteen digits

log = structlog.get_logger("ledger")


def ring(named: Collection[int] = ()) -> None:
    """Have the couriers look for work: at once, or as soon as the transaction at hand is committed.

    Args:
        named: the connections that have new mail, where nothing else changed.
    """
    words = " ".join(map(str, named)) if len(named) <= _MOST else ""
    own().on_commit(partial(_ring, words), robust=True)


async def listen(heard: Heard) -> None:
    """Call `heard` once it listens, and then for every ring, until cancelled.

    Raises:
        OSError: it does not, or no more.
    """
    if on_postgresql():
        from vaguemestre.ledger import channel  # noqa: PLC0415  a start on SQLite is quicker without psycopg

        await channel.listen(CHANNEL, partial(_tell, heard))
    else:
        await _listen_beside(_database(), heard)


def _ring(words: str) -> None:
    if on_postgresql():
        _notify(words)
    else:
        _send(_database(), words.encode())


def _notify(words: str) -> None:
    try:
        rows(_NOTIFY, {"channel": CHANNEL, "named": words})
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

    def pull(self, words: bytes) -> None:
        self._sender.sendto(words, self._path)

    def let_go(self) -> None:
        self._opened.close()


_ropes: dict[str, _Rope] = {}
_one_at_a_time = Lock()


@atexit.register
def _let_go() -> None:
    while _ropes:
        _ropes.popitem()[1].let_go()


def _send(database: str, words: bytes) -> None:
    # Nobody listens, or has been told as often as the socket holds: either way there is nothing to do. One
    # thread at a time: what another one closes must not be what this one pulls.
    with _one_at_a_time, suppress(OSError):
        rope = _ropes.get(database) or _ropes.setdefault(database, _Rope(database))
        try:
            rope.pull(words)
        except BlockingIOError:
            return
        except OSError:
            # Perhaps the folder is another one now.
            del _ropes[database]
            rope.let_go()


async def _listen_beside(database: str, heard: Heard) -> None:
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
            heard(())
            await loop.create_future()
        finally:
            loop.remove_reader(bell.fileno())


def _answer(bell: socket.socket, heard: Heard) -> None:
    """However often it rang, one look is enough."""
    rings = []
    with suppress(BlockingIOError):
        while True:
            rings.append(bell.recv(_LONGEST).decode())
    _tell(heard, rings)


def _tell(heard: Heard, rings: Sequence[str]) -> None:
    """Those that all rings name together; none where one of them names none."""
    heard({int(word) for ring in rings for word in ring.split()} if all(rings) else ())


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
