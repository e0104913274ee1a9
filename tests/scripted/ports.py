"""Ports of loopback: where no server answers, and where one that a test starts may listen."""

from __future__ import annotations

import contextlib
import secrets
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """What stands in for a server: its port."""

    port: int


# Below those that the system gives by itself: between its choice and its use a port is nobody's, and another
# test's server or dial would get it.
OURS = range(10_000, 32_000)


def free_port():
    """A port for a server that is about to start. By chance of its own: every test begins with one seed."""
    while True:
        port = secrets.choice(OURS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def refusing():
    """A port that nobody listens on, for as long as it is used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Port(taken.getsockname()[1])


@contextlib.contextmanager
def black_hole():
    """A port whose queue of connections is full: further ones are neither taken nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield Port(listener.getsockname()[1])
