"""U33: a session that ended, or that may carry no more, when the next message comes. It harms no message."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError
from upstream_fault import ACCEPTED, KEYWORDS, LOGIN, READY, SIGNED_IN, everybody, facing, refused

from scripted.client import PASSWORD
from scripted.sink import Answer, SinkServer
from vaguemestre.courier.lane import _Carrying
from vaguemestre.courier.supply import _claimed
from vaguemestre.ledger import vault
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Connection, Delivery
from vaguemestre.ledger.models import Lane as Held
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.opening import open_session

pytestmark = pytest.mark.any_database

every_manner = pytest.mark.parametrize("manner", KEYWORDS)


def in_manner(manner, **hooks):
    return SinkServer(keywords=KEYWORDS[manner], hooks=hooks)


def first(answer):
    """A hook that gives this answer once."""
    given = [answer]
    return lambda _: given.pop() if given else None


async def untouched(fault, *messages):
    """They were accepted in one try, and nobody is blamed for anything."""
    for message in messages:
        assert await fault.end(message) == ACCEPTED
        assert len(await fault.tried(message)) == 1
    assert await fault.health(messages[-1]) == READY
    assert await fault.broken_running() == 0


WORDS = [("", True), ("421 4.4.2 idle for too long", True), ("421 4.4.2 idle", False), ("250 what", False)]


@every_manner
async def test_u33_a_session_that_ended_while_idle_is_not_used_again(office, manner):
    async with in_manner(manner) as sink, facing(office, sink) as fault:
        await fault.accepted()
        for number, (words, leave) in enumerate(WORDS * 2):
            await sink.interject(words, leave=leave)
            await asyncio.sleep(0.02)
            message = await fault.post(f"next{number}@example.com")
            await untouched(fault, fault.message, message)
        assert sink.sessions == 9
    assert everybody(sink) == [*(f"next{number}@example.com" for number in range(8)), "to@example.com"]


OVER = [
    Answer("421 4.4.2 idle for too long", then="drop"),
    Answer("421 4.7.0 too many messages in this session", then="drop"),
    Answer("451 4.3.0 Mails per session limit exceeded"),
    Answer(then="drop"),
    Answer(then="rst"),
]


@every_manner
async def test_u33_a_session_that_is_over_at_mail_is_replaced_at_once(office, manner):
    async with in_manner(manner) as sink, facing(office, sink) as fault:
        await fault.accepted()
        for number, answer in enumerate(OVER):
            sink.hooks = {"mail": first(answer)}
            message = await fault.post(f"next{number}@example.com")
            if manner == "bdat" and not answer.reply:
                # Its content was on the wire, behind the MAIL that was never answered.
                assert (await fault.end(message)).state == "in_doubt"
                await fault.later(minutes=11)
                await fault.accepted(message)
            else:
                await untouched(fault, fault.message, message)
            assert sink.sessions == number + 2
    assert everybody(sink) == [*(f"next{number}@example.com" for number in range(5)), "to@example.com"]


@every_manner
@pytest.mark.parametrize("phase", ["mail", "rcpt", "content"])
async def test_u33_a_limit_of_messages_a_session_is_met_with_new_sessions(office, manner, phase):
    """The server takes three; whatever else had been written to it then is tried at once on another session."""
    reply = {
        "mail": "421 4.7.0 too many messages in this session",
        "rcpt": "452 4.3.0 too many messages in this session",
        "content": "451 4.3.0 Mails per session limit exceeded",
    }[phase]
    then = "drop" if reply.startswith("421") else "keep"
    hooks = {phase: lambda moment: Answer(reply, then=then) if moment.transaction > 3 else None}
    async with in_manner(manner, **hooks) as sink, facing(office, sink, queued=8) as fault:
        for message in fault.queued:
            await fault.accepted(message)
        deliveries = [await office.delivery(message) for message in fault.queued]
        assert [(one.counted, one.doubts) for one in deliveries] == [(0, 0)] * 8
        assert await fault.health(fault.queued[-1]) == READY
        assert sink.sessions >= 3
    assert everybody(sink) == [f"r{number}@example.com" for number in range(8)]


@every_manner
@pytest.mark.parametrize("always", [False, True])
async def test_u33_a_refused_rset_ends_the_session_and_harms_nobody(office, manner, always):
    answer = Answer("502 5.5.1 not implemented")
    unknown = {
        "rcpt": lambda moment: Answer("550 5.1.1 unknown") if moment.argument.startswith("r1@") else None
    }
    rset = (lambda _: answer) if always else first(answer)
    async with in_manner(manner, rset=rset, **unknown) as sink, facing(office, sink, queued=6) as fault:
        ends = await fault.all_ends()
        assert ends.pop(1) == refused("The server refuses this recipient.")
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[-1]) == READY
        assert sink.sessions >= 2
    assert everybody(sink) == [f"r{number}@example.com" for number in (0, 2, 3, 4, 5)]


@every_manner
async def test_u33_a_session_carries_no_more_than_its_limit(office, manner):
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        fault.worker.engine.pool.transaction_limit = 2
        for number in range(5):
            await fault.accepted(await fault.post(f"r{number}@example.com"))
        fault.worker.engine.pool.idle_limit = 0.0
        await fault.accepted(await fault.post("r5@example.com"))
        assert sink.sessions == 4
    assert everybody(sink) == [f"r{number}@example.com" for number in range(6)]
    assert max(taken.transaction for taken in sink.accepted) == 2


@every_manner
async def test_u33_the_server_never_sees_more_sessions_than_its_limit_however_slowly_they_leave(
    office, manner
):
    limits = {"limits": {"max_sessions": 2}}
    async with (
        in_manner(manner, quit=lambda _: Answer("221 2.0.0 bye", delay=0.3)) as sink,
        facing(office, sink, None, connect=limits) as fault,
    ):
        fault.worker.engine.pool.transaction_limit = 1
        made = [await fault.post(f"r{number}@example.com") for number in range(6)]
        for message in made:
            await fault.accepted(message)
        assert (sink.sessions, sink.most_open) == (6, 2)


@every_manner
async def test_u33_a_limit_that_only_some_recipients_meet_makes_nobody_get_it_twice(office, manner):
    names = [f"r{number}@example.com" for number in range(4)]
    reply = Answer("452 4.3.0 too many messages in this session")
    hooks = {
        "rcpt": lambda moment: reply if moment.transaction == 2 and len(moment.recipients) == 2 else None
    }
    async with in_manner(manner, **hooks) as sink, facing(office, sink) as fault:
        await fault.accepted()
        message = await fault.post(*names)
        await fault.accepted(message)
        found = (await office.deliveries(message)).values()
        assert {one.counted for one in found} == {0}
        assert await fault.health() == READY
    assert everybody(sink) == [*names, "to@example.com"]


async def test_u33_what_is_idle_counts_while_another_session_leaves(office):
    hooks = {"quit": lambda _: Answer("221 2.0.0 bye", delay=0.5)}
    async with SinkServer(hooks=hooks) as sink:
        await office.connect(sink, limits={"max_sessions": 3})
        async with office.courier() as worker:
            await office.until(await office.post(), "accepted")
            (lane,) = worker._lanes.values()
            engine = worker.engine
            opened = [await open_session(lane.hop, engine.network, engine.timeouts) for _ in range(2)]
            assert engine.pool.give_back(opened[0], engine.network.monotonic()) is None
            engine.close_later(opened[1])
            assert (engine.pool.idle(lane.hop), len(engine.leaving(lane.hop))) == (2, 1)
            one = _Carrying()
            lane._carrying.add(one)
            await lane._have_room()
            lane._carrying.remove(one)
            assert (engine.pool.idle(lane.hop), len(engine.leaving(lane.hop))) == (2, 0)


async def three_more(office):
    """At once, so that each has a session of its own."""
    posted = [await office.post() for _ in range(3)]
    for message in posted:
        await office.until(message, "accepted")


async def fail_once(worker, wanted):
    """The database goes as it is asked for that; the lane is given up then."""
    run, gone = worker.engine.threads.run, []

    async def ask(function, *arguments, **named):
        if function is wanted and not gone:
            gone.append(function)
            raise OperationalError("the server closed the connection unexpectedly")
        return await run(function, *arguments, **named)

    worker.engine.threads.run = ask


async def other_settings(office, worker):
    """A verification found that another mechanism is the one to sign in with."""
    (lane,) = worker._lanes.values()
    before = lane.hop
    await office.ask(lambda: Connection.objects.update(mechanism="LOGIN"))
    while lane.hop == before:
        await asyncio.sleep(0.01)


async def lease_lost(office, worker):
    """Another courier had it, and is gone."""
    (lane,) = worker._lanes.values()
    await office.ask(lambda: Held.objects.update(epoch=lane.lease.epoch + 1))
    worker._renewal_due_at = 0.0
    while worker._leases and lane in worker._lanes.values():
        await asyncio.sleep(0.01)


CHANGES = {
    "a claim that fails": lambda office, worker: fail_once(worker, _claimed),
    "another mechanism": other_settings,
    "a lease that was lost": lease_lost,
}


@pytest.mark.parametrize("change", CHANGES)
async def test_u33_idle_sessions_leave_when_the_next_ones_are_of_another_kind(office, change):
    """The server counts those of before, too; they would be found by nobody."""
    hooks = {"content": lambda _: Answer("250 2.0.0 taken", delay=0.3)}
    async with SinkServer(login=LOGIN, password=PASSWORD, hooks=hooks) as sink:
        await office.connect(sink, limits={"max_sessions": 3}, **SIGNED_IN)
        async with office.courier(threads=LedgerThreads(1)) as worker:
            await three_more(office)
            assert (sink.sessions, sink.most_open) == (3, 3)
            await CHANGES[change](office, worker)
            await three_more(office)
            assert sink.sessions > 3
            assert sink.most_open == 3


def with_token(connection):
    """The connection signs in with tokens."""
    with writing():
        Connection.objects.filter(pk=connection.pk).update(auth="oauth2", version=2)
        vault.destroy(connection)


class Source:
    """Of tokens: the one that is good now."""

    token = Secret("one")

    async def current(self, _, hop):  # noqa: ARG002  as `tokens.Tokens`
        return self.token

    fresh = current


async def test_u33_idle_sessions_leave_when_the_next_one_signs_in_with_another_token(office):
    """The others are idle again by then."""
    source = Source()
    hooks = {
        "greeting": lambda moment: Answer("220 hi", delay=1.0) if moment.session == 3 else None,
        "content": lambda _: Answer("250 2.0.0 taken", delay=0.3),
    }
    async with SinkServer(login=LOGIN, tokens=("one", "two"), mechanisms="XOAUTH2", hooks=hooks) as sink:
        connection = await office.connect(sink, limits={"max_sessions": 3}, **SIGNED_IN)
        await office.ask(with_token, connection)
        async with office.courier(tokens=source):
            for _ in range(2):
                await office.post()
            await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == 2)
            assert sink.open_sessions == 2
            source.token = Secret("two")
            await three_more(office)
            await three_more(office)
            assert sink.sessions > 3
            assert sink.most_open == 3
