"""Ends connections of the web process on which nothing has moved for a minute, in either direction.

Granian bounds the time for a request's headers, not that for its body: a sender that stops in the middle of
one, or vanishes without a word, would keep a thread for ever, and a place for bodies (`doors.api.rooms`). So
the kernel is asked for each connection how long ago the last data came and went (TCP_INFO of tcp(7)); one
that has been silent for too long is shut down, and whoever waits for its data finds its end.

Promises: touches no socket but those that this port has accepted. What goes on, however slowly, goes on.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SILENCE = 60  # seconds; nothing of ours takes so long to answer
_LOOK = 5  # seconds between two looks
# `struct tcp_info` of linux/tcp.h: the milliseconds since data went, and since data came.
_MOVED = struct.Struct("44xI4xI")


def watch(port: int) -> None:
    """Do so, for good."""
    while True:
        time.sleep(_LOOK)
        with suppress(OSError):  # no descriptor is left for the look itself
            end(port, SILENCE)


def end(port: int, silence: float) -> None:
    """End the connections to that port that have been silent for so many seconds."""
    for connection in _accepted(port):
        with suppress(OSError):  # it ended by itself
            if _silent_for(connection) > silence:
                connection.shutdown(socket.SHUT_RDWR)


def _silent_for(connection: socket.socket) -> float:
    """Seconds since anything moved."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MOVED.size)
    return float(min(_MOVED.unpack(facts))) / 1000


def _accepted(port: int) -> Iterator[socket.socket]:
    """The connections to that port.

    They are the server's, and none is closed here; nor is a descriptor duplicated, to be sure: to close a
    second one of a database would give up SQLite's locks.
    """
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since, or no socket
            found = socket.socket(fileno=int(descriptor.name))
            try:
                if _is_accepted(found, port):
                    yield found
            finally:
                found.detach()


def _is_accepted(found: socket.socket, port: int) -> bool:
    if found.family not in {socket.AF_INET, socket.AF_INET6} or found.type != socket.SOCK_STREAM:
        return False
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return not listens and bool(found.getsockname()[1] == port)
