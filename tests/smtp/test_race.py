"""Several addresses of one server: a dead one costs a moment, what lost is closed, the most telling cause is told."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time

import pytest

from scripted.client import loopback_network
from scripted.ports import black_hole
from scripted.sink import SinkServer
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp.network import DialFailed
from vaguemestre.smtp.race import first_link

V4, V6, OTHER = (ipaddress.ip_address(text) for text in ("127.0.0.1", "::1", "127.0.0.2"))


class Dialled:
    """Stands for a link."""

    def __init__(self, name):
        self.name, self.aborted = name, False

    def abort(self):
        self.aborted = True


def dial(link, after=0.0, error=None):
    async def answer():
        await asyncio.sleep(after)
        if error is not None:
            raise error
        return link

    return answer


async def test_an_address_that_is_silent_holds_nobody_up():
    slow, quick = Dialled("slow"), Dialled("quick")
    started = time.monotonic()
    won = await first_link([dial(slow, after=5), dial(quick)], stagger=0.05)
    assert won is quick
    assert 0.05 <= time.monotonic() - started < 0.5


async def test_the_next_address_is_dialled_as_soon_as_one_fails():
    quick = Dialled("quick")
    started = time.monotonic()
    assert await first_link([dial(None, error=OSError()), dial(quick)], stagger=5) is quick
    assert time.monotonic() - started < 0.5


async def test_the_first_in_the_resolvers_order_wins_where_it_answers_in_time():
    first, second = Dialled("first"), Dialled("second")
    assert await first_link([dial(first, after=0.01), dial(second)], stagger=0.2) is first
    assert not second.aborted


async def test_a_link_that_comes_too_late_is_closed():
    late, won = Dialled("late"), Dialled("won")

    async def comes_although_it_is_cancelled():
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return late

    assert await first_link([comes_although_it_is_cancelled, dial(won)], stagger=0.01) is won
    await asyncio.sleep(0.01)
    assert late.aborted
    assert not won.aborted


async def test_where_none_answers_all_errors_are_told():
    refused, lost = ConnectionRefusedError(), ConnectionResetError()
    with pytest.raises(ExceptionGroup) as failed:
        await first_link([dial(None, error=refused), dial(None, error=lost)])
    assert failed.value.exceptions == (refused, lost)


async def test_a_black_hole_before_the_server_costs_a_quarter_of_a_second():
    network = loopback_network()
    with black_hole() as hole:
        async with SinkServer(host="127.0.0.2", port=hole.port) as sink:
            started = time.monotonic()
            link = await network.dial((V4, OTHER), sink.port, within=10)
            took = time.monotonic() - started
            link.abort()
    assert link.peer[0] == "127.0.0.2"
    assert 0.2 < took < 1.0


async def test_a_refusal_says_more_than_a_silence():
    network = loopback_network()
    with black_hole() as hole, pytest.raises(DialFailed) as failed:
        await network.dial((V4, OTHER), hole.port, within=0.4)
    assert failed.value.cause is Cause.CONNECTION_REFUSED


async def test_whether_a_family_answers_is_known_without_a_word():
    network = loopback_network()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        assert await network.answers(V6, port, within=1) is None
        assert await network.answers(V4, port, within=1) is Cause.CONNECTION_REFUSED
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(1)
            assert accepted.recv(10) == b""
