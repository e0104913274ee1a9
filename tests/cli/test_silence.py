"""Connections of the web process on which nothing moves are ended; all others go on."""

import socket
import time
from contextlib import ExitStack

from vaguemestre.cli import silence


def test_what_is_silent_is_ended_and_what_moves_in_either_direction_is_not():
    with ExitStack() as open_ones:
        door = open_ones.enter_context(socket.create_server(("127.0.0.1", 0)))
        other = open_ones.enter_context(socket.create_server(("127.0.0.1", 0)))

        def connected(to):
            far = open_ones.enter_context(socket.create_connection(to.getsockname()))
            near = open_ones.enter_context(to.accept()[0])
            far.settimeout(0.2)
            return far, near

        silent, sending, hearing, elsewhere = (connected(one) for one in (door, door, door, other))
        for _ in range(6):
            time.sleep(0.1)
            sending[0].sendall(b"x")
            hearing[1].sendall(b"x")
        silence.end(door.getsockname()[1], 0.5)
        assert silent[0].recv(9) == b""
        assert sending[1].recv(9) == b"xxxxxx"
        assert hearing[0].recv(9) == b"xxxxxx"
        for far, near in (sending, hearing, elsewhere):
            near.sendall(b"on")
            assert far.recv(9) == b"on"
        connected(door)  # which still listens
