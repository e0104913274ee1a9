"""A link keeps what came before the end, bounds what waits, and TLS on it follows the rules."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from scripted.certificates import the_authority
from scripted.server import ScriptedServer
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp import network as wall
from vaguemestre.smtp.link import PIECE, RECEIVE_LIMIT, LinkLost
from vaguemestre.smtp.network import TlsFailed


async def dialled(network, server):
    addresses = await network.resolve("localhost", server.port)
    return await network.dial(addresses, server.port, within=1)


async def test_what_came_before_the_end_is_read_after_it(network):
    for end in ("@drop", "@rst"):
        async with ScriptedServer(f"S: 250 taken\n@delay 0.05\n{end}") as server:
            link = await dialled(network, server)
            await asyncio.sleep(0.15)
            assert link.over
            assert await link.read() == b"250 taken\r\n"
            with pytest.raises(LinkLost):
                await link.read()
            link.abort()


async def test_a_flood_that_nobody_reads_is_bounded(network):
    async with ScriptedServer("@endless 250-flood") as server:
        link = await dialled(network, server)
        await asyncio.sleep(0.3)
        assert RECEIVE_LIMIT < len(link.received) < RECEIVE_LIMIT * 8
        while link.waiting:
            assert 0 < len(link.take()) <= PIECE
        await asyncio.sleep(0.1)
        assert link.waiting  # it goes on once it was read
        link.abort()


async def test_u10_clear_text_before_the_handshake_is_not_taken_for_tls(network):
    async with ScriptedServer("S: 220 mx\n@close") as server:
        link = await dialled(network, server)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        with pytest.raises(TlsFailed) as failed:
            await network.start_tls(link, "localhost")
    assert failed.value.cause is Cause.TLS_NOT_SPOKEN
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("pin", ["", the_authority().pem.decode()])
def test_the_rules_of_a_handshake(roots, pin):
    context = wall._context(roots, pin)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_a_pinned_authority_is_the_only_one():
    assert len(wall._context("", the_authority().pem.decode()).get_ca_certs()) == 1


async def test_each_wait_has_its_own_deadline_though_one_timer_serves_all(network):
    """U06, U34: later ones are not cut short by an earlier one's, nor earlier ones by a later one's."""
    async with ScriptedServer("@delay 0.25\nS: 250 late\n@silence") as server:
        link, clock = await dialled(network, server), asyncio.get_running_loop().time
        started = clock()
        with pytest.raises(TimeoutError):
            await link.read(started + 0.1)
        assert 0.1 <= clock() - started < 0.2
        assert await link.read(started + 60) == b"250 late\r\n"
        started = clock()
        for within in (0.3, 0.1, 0.2):
            with pytest.raises(TimeoutError):
                await link.read(clock() + within)
        assert 0.6 <= clock() - started < 0.8
        link.abort()


async def test_a_deadline_that_is_past_is_over_at_once(network):
    async with ScriptedServer("@silence") as server:
        link, clock = await dialled(network, server), asyncio.get_running_loop().time
        started = clock()
        with pytest.raises(TimeoutError):
            await link.read(started - 1)
        assert clock() - started < 0.2
        link.abort()


async def test_what_came_in_time_is_read_though_the_loop_stood_still_meanwhile(network):
    """A commit on the loop's thread may take long: a reply that lay there is no timeout."""
    async with ScriptedServer("@delay 0.05\nS: 250 in time\n@silence") as server:
        link = await dialled(network, server)
        reading = asyncio.ensure_future(link.read(asyncio.get_running_loop().time() + 0.1))
        await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251  as it stands still
        assert await reading == b"250 in time\r\n"
        link.abort()


async def test_a_link_that_is_over_leaves_no_timer(network):
    async with ScriptedServer("@silence") as server:
        link = await dialled(network, server)
        reading = asyncio.ensure_future(link.read(asyncio.get_running_loop().time() + 600))
        await asyncio.sleep(0.05)
        link.abort()
        with pytest.raises(LinkLost):
            await reading
        assert link._timer is None
