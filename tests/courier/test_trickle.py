"""One message after the other: none waits for the courier's next look at an empty lane."""

from __future__ import annotations

import time

import pytest

from scripted.sink import Answer
from vaguemestre.courier.supply import FIRST

pytestmark = pytest.mark.any_database


async def test_a_message_right_behind_another_leaves_at_once(office, sink):
    await office.connect(sink)
    took = []
    async with office.courier():
        for number in range(6):
            started = time.monotonic()
            await office.until(await office.post(f"r{number}@example.com"), "accepted")
            took.append(time.monotonic() - started)
    assert sorted(took)[3] < 0.5
    assert len(sink.accepted) == 6


@pytest.mark.parametrize("sessions", [1, 2])
async def test_a_message_right_behind_a_full_claim_leaves_at_once(office, sink, sessions):
    """As many as the first claim takes: the next one finds nothing, and that is no limit."""
    number = FIRST * sessions
    await office.connect(sink, limits={"max_sessions": sessions})
    posted = [await office.post(f"r{one}@example.com") for one in range(number)]
    async with office.courier():
        for message in posted:
            await office.until(message, "accepted")
        started = time.monotonic()
        await office.until(await office.post("next@example.com"), "accepted")
        assert time.monotonic() - started < 0.5


async def test_a_message_right_behind_a_probe_leaves_at_once(office, sink):
    refusals = [Answer("421 4.3.2 closing", then="drop")]
    sink.hooks = {"greeting": lambda _: refusals.pop() if refusals else None}
    await office.connect(sink)
    async with office.courier() as worker:
        message = await office.post()
        await office.until_true(lambda: not refusals)
        await office.until(message, "queued")
        office.clock.advance(seconds=61)
        await office.until(message, "accepted")
        started = time.monotonic()
        await office.until(await office.post("next@example.com"), "accepted")
        assert time.monotonic() - started < 0.5
        assert worker.engine.leases_hold()
