"""The bench's far server: what a client waits for is what distance makes it wait for."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from bench.child import Child

RTT = 0.1
LATE = 0.08  # seconds that a loaded machine may add


@contextmanager
def echo():
    """A server that greets, and then says what it hears until it hears the end."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"hello")
                while heard := peer.recv(65536):
                    peer.sendall(heard)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.fixture
def far():
    """A socket that just began to dial, the proxy, and when it began."""
    with echo() as port, Child("delay", port, RTT) as proxy:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            yield client, proxy, began


def test_a_greeting_is_read_two_round_trips_after_the_dial(far):
    client, _, began = far
    assert client.recv(100) == b"hello"
    assert 2 * RTT <= time.monotonic() - began <= 2 * RTT + LATE


def test_an_exchange_takes_one_round_trip(far):
    client, _, _ = far
    client.recv(100)
    asked = time.monotonic()
    client.sendall(b"NOOP")
    assert client.recv(100) == b"NOOP"
    assert RTT <= time.monotonic() - asked <= RTT + LATE


def test_what_goes_in_one_after_the_other_does_not_wait_for_each_other(far):
    client, _, _ = far
    client.recv(100)
    sent = b"".join(bytes([number]) * 1000 for number in range(200))
    asked = time.monotonic()
    for start in range(0, len(sent), 1000):
        client.sendall(sent[start : start + 1000])
    heard = b""
    while len(heard) < len(sent):
        heard += client.recv(65536)
    assert heard == sent  # in order
    assert time.monotonic() - asked <= RTT + 2 * LATE


def test_the_end_of_one_direction_leaves_the_other_open(far):
    client, _, _ = far
    client.sendall(b"QUIT")
    client.shutdown(socket.SHUT_WR)
    heard = b""
    while block := client.recv(100):
        heard += block
    assert heard == b"helloQUIT"


def test_it_tells_when_the_first_dial_came(far):
    client, proxy, began = far
    client.recv(100)
    told = proxy.ask()
    assert told["dials"] == 1
    assert began <= told["first_at"] + 0.001 <= began + LATE
