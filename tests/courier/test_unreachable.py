"""U01-U05: a server that is not found, does not answer, or hangs up. Its mail waits, and costs nothing."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import replace

import pytest
from upstream_fault import ACCEPTED, READY, facing, waits

from scripted.client import loopback_network
from scripted.ports import black_hole, refusing
from scripted.server import ScriptedServer
from scripted.sink import SinkServer
from vaguemestre.egress import HostUnknown, LookupFailed
from vaguemestre.mail.phase import Phase

pytestmark = pytest.mark.any_database

NAMED = {"host": "smtp.faulty.example"}


class Names:
    """The names of a test; `answer` is what a lookup does, until it is None: then all is found."""

    def __init__(self, answer):
        self.answer = answer

    async def __call__(self, *_):
        if self.answer is not None:
            await self.answer()
        return (ipaddress.ip_address("127.0.0.1"),)


async def unknown():
    raise HostUnknown("smtp.faulty.example")


async def failing():
    raise LookupFailed("smtp.faulty.example")


async def hanging():
    await asyncio.Event().wait()


NOT_FOUND = "No server of that name was found; check how it is spelt."
NOT_NOW = "The server's name cannot be looked up for now (DNS)."


@pytest.mark.parametrize(("answer", "text"), [(unknown, NOT_FOUND), (failing, NOT_NOW), (hanging, NOT_NOW)])
async def test_u01_u02_a_name_that_is_not_found_keeps_its_mail_until_it_is(office, answer, text):
    office.timeouts = replace(office.timeouts, resolve=0.3)
    names = Names(answer)
    async with (
        SinkServer() as sink,
        facing(office, sink, connect=NAMED, network=loopback_network(lookup=names)) as fault,
    ):
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, "", 60.0)
        (attempt,) = await fault.tried()
        assert [step["phase"] for step in attempt.steps] == [Phase.RESOLVE]
        names.answer = None
        await fault.later(seconds=61)
        await fault.accepted()
        assert await fault.end(attempts=2) == ACCEPTED
        assert await fault.health() == READY
    assert len(sink.accepted) == 1


async def test_u01_waiting_doubles_and_still_costs_nothing(office):
    names = Names(unknown)
    async with (
        SinkServer() as sink,
        facing(office, sink, connect=NAMED, network=loopback_network(lookup=names)) as fault,
    ):
        for attempts, wait in enumerate([60.0, 120.0, 240.0, 480.0], start=1):
            assert await fault.end(attempts=attempts) == waits(NOT_FOUND, wait)
            await fault.later(seconds=wait + 1)
        for number in range(3):
            await fault.post(f"later{number}@example.com")
    assert sink.sessions == 0


async def test_u03_a_refused_dial(office):
    text = "Nothing answers on that port of the server."
    with refusing() as port:
        async with facing(office, port) as fault:
            assert await fault.end() == waits(text)
            assert await fault.health() == ("throttled", text, "", 60.0)


async def test_u04_a_black_hole_ends_with_its_deadline(office):
    office.timeouts = replace(office.timeouts, connect=0.3)
    text = "The server does not answer."
    with black_hole() as port:
        async with facing(office, port) as fault:
            assert await fault.end() == waits(text)
            assert await fault.health() == ("throttled", text, "", 60.0)
            (attempt,) = await fault.tried()
            assert (attempt.ended_at - attempt.started_at).total_seconds() < 1


@pytest.mark.parametrize("end", ["@drop", "@rst"])
async def test_u05_closed_before_the_greeting(office, end):
    text = "The server was reached, and the dialogue broke before it began."
    async with ScriptedServer(end) as server, facing(office, server) as fault:
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, "", 60.0)
    assert server.connections == 1
