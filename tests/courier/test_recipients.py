"""U26-U28: recipients judged one by one, greylists, and tarpits that slow nobody else down."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from upstream_fault import ACCEPTED, KEYWORDS, READY, End, everybody, facing, locked, refused, retry, waits

from scripted.sink import Answer, SinkServer

pytestmark = pytest.mark.any_database

every_manner = pytest.mark.parametrize("manner", KEYWORDS)

UNKNOWN = "The server refuses this recipient."
LATER = "The server asks to try this recipient later."
CLOSING = "The server is closing its service for now."
DENIED = "The server does not let this connection send."
DENIED_ONCE = "The server does not let this connection send to that recipient."
GREY = "The server asks new senders to wait (greylisting) and takes the message later; it is tried again by itself."


def in_manner(manner, rcpt):
    """A sink whose answer to a recipient is that of its first letter; None is the usual one."""

    def answer(moment):
        said = rcpt.get(moment.argument[0])
        return None if said is None else Answer(said)

    return SinkServer(keywords=KEYWORDS[manner], hooks={"rcpt": answer})


# U26


@every_manner
async def test_u26_recipients_are_judged_one_by_one(office, manner):
    replies = {
        "b": "550 5.1.1 unknown",
        "c": "251 will forward",
        "d": "450 4.2.1 busy",
        "e": "252 cannot verify",
        "f": "452 4.2.2 mailbox full",
        "g": "500 5.1.1 User unknown",
    }
    names = [f"{letter}@example.com" for letter in "abcdefg"]
    async with in_manner(manner, replies) as sink, facing(office, sink, *names) as fault:
        expected = [
            ACCEPTED,
            refused(UNKNOWN),
            ACCEPTED,
            retry(LATER),
            ACCEPTED,
            retry(LATER),
            refused(UNKNOWN),
        ]
        assert await fault.ends() == dict(zip(names, expected, strict=True))
        assert await fault.health() == READY
        found = await office.deliveries(fault.message)
        assert (found["b@example.com"].last_code, found["b@example.com"].last_text) == (550, "5.1.1 unknown")
        await fault.accepted(await fault.post("next@example.com"))
        assert sink.sessions == 1
        replies.clear()
        await fault.later(seconds=61)
        await office.until(fault.message, "accepted", "refused")
    assert everybody(sink) == sorted(["next@example.com", *(f"{letter}@example.com" for letter in "acdef")])


@every_manner
@pytest.mark.parametrize(
    ("reply", "end"), [("450 4.2.1 busy", retry(LATER)), ("550 5.1.1 unknown", refused(UNKNOWN))]
)
async def test_u26_nobody_accepted_means_that_no_content_leaves(office, manner, reply, end):
    names = ["one@example.com", "two@example.com"]
    async with (
        in_manner(manner, {"o": reply, "t": reply}) as sink,
        facing(office, sink, *names, post={"text": "kept to ourselves"}) as fault,
    ):
        assert await fault.ends() == dict.fromkeys(names, end)
        assert await fault.health() == READY
        await fault.accepted(await fault.post("next@example.com"))
        assert sink.sessions == 1
        assert b"kept to ourselves" not in sink.heard
    assert everybody(sink) == ["next@example.com"]


@every_manner
async def test_u26_too_many_recipients_are_split_at_once_and_each_gets_it_once(office, manner):
    replies = ["452 4.5.3 too many recipients", "452 too many", "552 5.5.3 too many"]
    async with SinkServer(keywords=KEYWORDS[manner]) as sink, facing(office, sink, None) as fault:
        everyone = []
        for way, reply in enumerate(replies):
            many = Answer(reply)
            sink.hooks = {"rcpt": lambda moment, many=many: many if len(moment.recipients) == 3 else None}
            names = [f"r{way}{number}@example.com" for number in range(8)]
            message = await fault.post(*names)
            assert await fault.ends(message, attempts=3) == dict.fromkeys(names, ACCEPTED)
            assert await fault.health(message) == READY
            everyone += names
    assert [len(taken.recipients) for taken in sink.accepted] == [3, 3, 2] * 3
    assert everybody(sink) == everyone


@every_manner
async def test_u26_421_at_the_second_recipient_makes_all_wait_and_nobody_gets_it_twice(office, manner):
    reply = "421 4.3.2 closing"
    names = ["one@example.com", "two@example.com"]
    hooks = {
        "rcpt": lambda moment: (
            Answer(reply, then="drop") if moment.session == 1 and moment.recipients else None
        )
    }
    async with (
        SinkServer(keywords=KEYWORDS[manner], hooks=hooks) as sink,
        facing(office, sink, *names) as fault,
    ):
        assert await fault.ends() == dict.fromkeys(names, waits(CLOSING))
        assert await fault.health() == ("throttled", CLOSING, reply, 60.0)
        await fault.later(seconds=61)
        await fault.accepted()
        assert await fault.health() == READY
    assert everybody(sink) == names


@every_manner
async def test_u26_access_denied_for_two_domains_running_is_the_connection_s_fault(office, manner):
    reply = "554 5.7.1 relay access denied"
    async with in_manner(manner, {"x": reply}) as sink, facing(office, sink, "x@one.example") as fault:
        assert await fault.end() == retry(DENIED_ONCE)
        assert await fault.health() == READY
        second = await fault.post("x@two.example")
        assert await fault.end(second) == locked(DENIED)
        assert await fault.health(second) == ("locked", DENIED, reply, None)
        third = await fault.post("somebody@example.com")
        await fault.unharmed()
        assert (await fault.end(third, attempts=0)).outlook == "locked"
    assert sink.accepted == []


# U27


@pytest.mark.parametrize(
    ("manner", "phase", "reply", "wait"),
    [
        ("single", "rcpt", "450 4.2.0 Greylisted, see http://postgrey.example/help", 60.0),
        ("data", "rcpt", "450 4.7.1 You are greylisted, try again in 60 seconds", 60.0),
        ("data", "content", "451 4.7.1 Greylisted, retry in 10 minutes", 600.0),
        ("bdat", "rcpt", "451 4.7.1 Greylisting in action, please come back in 00:05:00", 300.0),
        ("bdat", "content", "451 4.7.1 Greylisted, retry in 10 minutes", 600.0),
    ],
)
async def test_u27_what_is_greylisted_is_accepted_at_the_retry_and_says_so(
    office, manner, phase, reply, wait
):
    opened = []

    def grey(_):
        if not opened:
            opened.append(office.clock() + timedelta(seconds=wait))
        return Answer(reply) if office.clock() < opened[0] else None

    async with (
        SinkServer(keywords=KEYWORDS[manner], hooks={phase: grey}) as sink,
        facing(office, sink) as fault,
    ):
        assert await fault.end() == End("queued", GREY, "greylisted", wait, counted=1, spent=wait)
        assert await fault.said() == reply
        assert await fault.health() == READY
        await fault.later(seconds=wait - 5)
        await fault.unharmed()
        assert (await fault.end()).state == "queued"
        await fault.later(seconds=6)
        await fault.accepted()
        assert len(await fault.tried(attempts=2)) == 2
    assert everybody(sink) == ["to@example.com"]


# U28

SCALE = 2000  # of the tarpit's 20 seconds


@every_manner
async def test_u28_a_tarpit_finishes_and_slows_no_other_connection(office, manner):
    names = [f"r{number:02}@example.com" for number in range(100)]
    tar = Answer("250 2.1.0 slowly", delay=20 / SCALE)
    hooks = dict.fromkeys(["mail", "rcpt", "rset"], lambda _: tar)
    async with (
        SinkServer(keywords=KEYWORDS[manner], hooks=hooks) as sink,
        facing(office, sink, *names, connect={"limits": {"max_sessions": 1}}) as fault,
    ):
        took = []
        while sum(len(taken.recipients) for taken in sink.accepted) < 100:
            started = time.monotonic()
            await fault.unharmed()
            took.append(time.monotonic() - started)
        assert len(took) >= 5
        assert sorted(took)[len(took) * 95 // 100] < 1.0
        assert await fault.ends(within=20) == dict.fromkeys(names, ACCEPTED)
        attempts = await fault.tried()
        started, ended = min(one.started_at for one in attempts), max(one.ended_at for one in attempts)
        assert (ended - started).total_seconds() >= 100 * 20 / SCALE
        assert await fault.health() == READY
    assert everybody(sink) == names
