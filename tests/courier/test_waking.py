"""A courier rests until somebody rings, something becomes due, or a second has passed."""

import asyncio
import contextlib
import time
from datetime import timedelta
from pathlib import Path

import uvloop
from django.db import connection as database

from scripted.client import loopback_network
from scripted.sink import Answer, SinkServer
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.worker import Worker
from vaguemestre.ledger import connections, messages, wake
from vaguemestre.ledger.models import Delivery
from vaguemestre.ledger.threads import LedgerThreads

A_MINUTE = 60.0  # between two looks: whatever happens sooner was not found by looking


def counting(threads):
    """Have its `calls` be how many there were, in its own threads and on the loop's."""
    threads.calls = 0
    for name in ("_queue", "_at_once"):
        setattr(threads, name, _counted(threads, getattr(threads, name)))
    return threads


def _counted(threads, way):
    def call(work):
        threads.calls += 1
        return way(work)

    return call


@contextlib.asynccontextmanager
async def resting(office, **engine):
    """A courier that has looked at everything and rests; its engine's threads count."""
    threads = counting(office.ledger_threads())
    async with office.courier(**{"look": A_MINUTE, "threads": threads} | engine) as worker:
        await at_rest(threads)
        yield worker


def take_the_bell_away():
    Path(database.settings_dict["NAME"] + wake.SOCKET_SUFFIX).unlink()


async def at_rest(threads):
    async with asyncio.timeout(10):
        before = -1
        while threads.calls != before:
            before = threads.calls
            await asyncio.sleep(0.3)


def test_a_ring_may_meet_an_alarm_that_is_about_to_go_off():
    """uvloop, on which couriers run, gives an alarm within half a millisecond no time of its own."""

    async def rung_twice():
        worker = Worker(Engine(loopback_network(), LedgerThreads(1)))
        for seconds in (0.0, 0.0004, 1.0):
            worker.engine.wake()
            await worker._pause(seconds)

    began = time.monotonic()
    uvloop.run(rung_twice())
    assert time.monotonic() - began < 0.5


async def test_what_is_accepted_wakes_it(office, sink):
    await office.connect(sink)
    async with resting(office):
        message = await office.post()
        await office.ask(wake.ring)
        await office.until(message, "accepted", within=3)
        assert len(sink.accepted) == 1


async def test_what_is_accepted_behind_a_change_without_a_ring_leaves_by_the_new_settings(office, sink):
    only = await office.connect(sink)
    async with SinkServer() as other, resting(office):
        await office.ask(wake.ring)
        await office.ask(connections.edit, str(only.uid), {"port": other.port}, "test", office.clock())
        message = await office.post()
        await office.until(message, "accepted", within=3)
        assert (len(sink.accepted), len(other.accepted)) == (0, 1)


async def test_what_is_accepted_behind_a_pause_of_its_connection_stays(office, sink):
    only = await office.connect(sink)
    async with resting(office):
        await office.ask(wake.ring)
        await office.ask(connections.pause, str(only.uid), "test", office.clock())
        message = await office.post()
        await asyncio.sleep(0.5)
        assert ((await office.delivery(message)).state, sink.accepted) == ("queued", [])


async def test_a_ring_that_is_lost_costs_a_look_and_not_more(office, sink):
    await office.connect(sink)
    async with resting(office, look=0.5):
        if database.vendor == "sqlite":
            take_the_bell_away()
        message = await office.post()
        await office.until(message, "accepted", within=3)
        assert len(sink.accepted) == 1


async def test_what_becomes_due_before_the_next_look_leaves_at_its_time(office, sink):
    await office.connect(sink)
    async with resting(office):
        due_at = office.clock() + timedelta(seconds=1)
        message = await office.post(send_at=due_at)
        await office.ask(wake.ring)
        await office.until(message, "accepted", within=4)
        assert len(sink.accepted) == 1
        assert timedelta(0) <= office.clock() - due_at < timedelta(seconds=2)


async def test_what_goes_into_the_next_transaction_waits_for_no_look(office, sink):
    def full_after_one(moment):
        return Answer("452 4.5.3 too many recipients") if len(moment.recipients) > 1 else None

    sink.hooks = {"rcpt": full_after_one}
    await office.connect(sink)
    async with resting(office):
        message = await office.post("a@example.com", "b@example.com", "c@example.com")
        await office.ask(wake.ring)
        await office.until(message, "accepted", within=4)
        assert [len(message.recipients) for message in sink.accepted] == [2, 1]


async def test_a_connection_that_is_activated_wakes_it_for_what_was_held(office, sink):
    only = await office.connect(sink, active=False)
    async with resting(office):
        message = await office.post()
        await office.until(message, "held", within=1)
        await office.ask(connections.activate, str(only.uid), "test", office.clock())
        await office.until(message, "accepted", within=4)
        assert len(sink.accepted) == 1


async def test_what_a_person_releases_wakes_it(office, sink):
    await office.connect(sink)
    async with resting(office):
        message = await office.post(send_at=office.clock() + timedelta(days=1))
        await office.ask(messages.release, str(message.uid), "test", office.clock())
        await office.until(message, "accepted", within=3)
        assert len(sink.accepted) == 1


async def test_without_work_it_asks_a_few_things_a_second(office, sink):
    """It used to ask ten times as often."""
    await office.connect(sink)
    async with resting(office, look=1.0) as worker:
        threads, started = worker.engine.threads, time.monotonic()
        before = threads.calls
        await asyncio.sleep(5)
        assert (threads.calls - before) / (time.monotonic() - started) <= 8  # its first seconds: 6.6


async def asked_in_a_second_of_rings(worker):
    threads, before, until = worker.engine.threads, worker.engine.threads.calls, time.monotonic() + 1
    while time.monotonic() < until:
        worker.engine.wake()
        await asyncio.sleep(0)
    return threads.calls - before


async def test_rings_without_end_are_answered_200_times_a_second_at_most(office, sink):
    await office.connect(sink)
    async with resting(office) as worker:
        assert await asked_in_a_second_of_rings(worker) <= 220


async def test_while_each_session_has_its_next_message_in_hand_rings_are_answered_40_times_a_second(
    office, sink
):
    answer = asyncio.Event()
    sink.hooks = {"content": lambda _: Answer("250 2.0.0 taken", after=answer)}
    await office.connect(sink, limits={"max_sessions": 1})
    for _ in range(4):
        await office.post()
    async with resting(office) as worker:
        assert await asked_in_a_second_of_rings(worker) <= 60
        answer.set()
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == 4, within=3)


async def test_at_a_steady_rate_each_leaves_before_the_next_look(office, sink):
    """A claim that finds nothing, since another took it, is not taken for a limit that is used up."""
    await office.connect(sink, limits={"per_day": 10_000})
    async with resting(office):
        for _ in range(40):
            await office.post()
            await office.ask(wake.ring)
            await asyncio.sleep(0.02)
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == 40, within=2)
        assert len(sink.accepted) == 40
