"""U30-U32: what a server says, or does not, to the end of data: not accepted, in doubt, or accepted once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_fault import (
    ACCEPTED,
    KEYWORDS,
    READY,
    doubtful,
    everybody,
    facing,
    refused,
    retry,
    waits,
)

from scripted.sink import LOST, Answer, SinkServer
from vaguemestre.smtp.timeouts import Timeouts

pytestmark = pytest.mark.any_database

every_manner = pytest.mark.parametrize("manner", KEYWORDS)

LATER = "The server asks to try this message later."
REFUSED = "The server refuses this message."
CLOSING = "The server is closing its service for now."
BROKEN = "The connection broke after the end of the message."
LATE = "The server did not answer in time after the end of the message."
NO_SENSE = "The server's answer to the end of the message makes no sense there."
UNREADABLE = "The server's answer to the end of the message could not be read."

FIFTH = 4  # the second of the third window, where there are windows: 1, 2, 3


def in_manner(manner, **hooks):
    return SinkServer(keywords=KEYWORDS[manner], hooks=hooks)


def first(answer):
    """A hook that gives this answer once."""
    given = [answer]
    return lambda _: given.pop() if given else None


def at_fifth(answer):
    """A hook for the fifth transaction of the first session."""
    return lambda moment: answer if (moment.session, moment.transaction) == (1, FIFTH + 1) else None


def names(*numbers):
    return [f"r{number}@example.com" for number in numbers]


# U30


NO = [
    ("451 4.3.0 try later", retry(LATER), READY),
    ("452 4.3.1 full, come back in 20 minutes", retry(LATER, 1200.0), READY),
    ("554 5.6.0 not this one", refused(REFUSED), READY),
    ("421 4.3.2 closing", waits(CLOSING), ("throttled", CLOSING, "421 4.3.2 closing", 60.0)),
]


@every_manner
async def test_u30_a_definite_no_to_the_end_of_data_is_no_doubt(office, manner):
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        for number, (reply, end, health) in enumerate(NO):
            then = "drop" if reply.startswith("421") else "keep"
            sink.hooks = {"content": first(Answer(reply, then=then))}
            message = await fault.post(f"no{number}@example.com")
            assert await fault.end(message) == end
            assert await fault.health(message) == health
            assert await fault.said(message) == reply
            if health == READY:
                await fault.accepted(await fault.post(f"next{number}@example.com"))
                assert sink.sessions == 1
            if end.state == "queued":
                await fault.later(seconds=end.wait + 1)
                await fault.accepted(message)
                assert await fault.health(message) == READY
    taken = [f"next{number}@example.com" for number in range(3)] + [
        f"no{number}@example.com" for number in (0, 1, 3)
    ]
    assert everybody(sink) == taken


@every_manner
@pytest.mark.parametrize(
    ("reply", "end"), [("451 4.3.0 try later", retry(LATER)), ("554 5.6.0 not this one", refused(REFUSED))]
)
async def test_u30_of_a_window_only_the_refused_message_is_concerned(office, manner, reply, end):
    async with (
        in_manner(manner, content=at_fifth(Answer(reply))) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        ends = await fault.all_ends()
        assert ends.pop(FIFTH) == end
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[FIFTH]) == READY
        await fault.later(seconds=61)
        await office.until(fault.queued[FIFTH], "accepted", "refused")
    assert everybody(sink) == names(*range(6)) if end.state == "queued" else names(0, 1, 2, 3, 5)
    assert {taken.manner for taken in sink.accepted} == {"BDAT" if manner == "bdat" else "DATA"}


@every_manner
async def test_u30_421_amid_a_window_puts_nothing_in_doubt(office, manner):
    reply = "421 4.3.2 closing"
    async with (
        in_manner(manner, content=at_fifth(Answer(reply, then="drop"))) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        assert await fault.end(fault.queued[FIFTH]) == waits(CLOSING)
        assert await fault.health(fault.queued[FIFTH]) == ("throttled", CLOSING, reply, 60.0)
        assert (await fault.end(fault.queued[5], attempts=0)).state == "queued"
        await fault.later(seconds=61)
        for message in fault.queued:
            await fault.accepted(message)
        deliveries = [await office.delivery(message) for message in fault.queued]
        assert [(one.counted, one.doubts) for one in deliveries] == [(0, 0)] * 6
    assert everybody(sink) == names(*range(6))


# U31

DOUBTS = [
    (LOST, BROKEN),
    (Answer(then="rst", accepted=True), BROKEN),
    (Answer("", delay=0.7, accepted=True), LATE),
    (Answer("354 go on", accepted=True), NO_SENSE),
    (Answer("250ok", accepted=True), UNREADABLE),
    (Answer("999 ok", accepted=True), UNREADABLE),
    (Answer("250 ok", end="", then="drop"), BROKEN),
    (Answer("250-more", then="endless"), UNREADABLE),
    (Answer("250-taken", then="drop"), BROKEN),
    (Answer("250 taken at last, it drips", pause=0.05), LATE),
]


@every_manner
async def test_u31_anything_else_is_doubt_and_sent_again_once_and_byte_identical(office, manner):
    """Not before ten minutes; what is posted meanwhile leaves at once, on another session."""
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        doubted = []
        for number, (answer, text) in enumerate(DOUBTS):
            sink.hooks = {"content": first(answer)}
            fault.patience(**({"content": 0.5} if text == LATE else {}))
            doubted.append(await fault.post(f"doubt{number}@example.com"))
            assert await fault.end(doubted[-1]) == doubtful(text), answer
            fault.patience()
            assert await fault.health(doubted[-1]) == READY
            assert await fault.broken_running() == 1
            await fault.accepted(await fault.post(f"next{number}@example.com"))
            assert await fault.broken_running() == 0
        await fault.later(minutes=9)
        await fault.accepted(await fault.post("last@example.com"))
        assert len(sink.accepted) == 2 * len(DOUBTS) + 1
        await fault.later(minutes=2)
        for message in doubted:
            await fault.accepted(message)
    for number in range(len(DOUBTS)):
        sent, again = sink.contents(f"doubt{number}@example.com")
        assert sent == again
        assert len(sink.contents(f"next{number}@example.com")) == 1


@every_manner
@pytest.mark.parametrize("on_doubt", ["retry", "hold"])
async def test_u31_a_reply_lost_amid_a_window_leaves_in_doubt_what_was_on_the_wire(office, manner, on_doubt):
    """With `hold`, where a person must decide, messages travel alone and only one is in doubt."""
    hold = on_doubt == "hold"
    async with (
        in_manner(manner, content=at_fifth(LOST)) as sink,
        facing(office, sink, queued=6, post={"on_doubt": on_doubt}) as fault,
    ):
        in_window = manner == "bdat" and not hold
        doubt = doubtful(BROKEN, None if hold else 600.0)
        assert await fault.all_ends() == [ACCEPTED] * 4 + ([doubt] * 2 if in_window else [doubt, ACCEPTED])
        assert await fault.health(fault.queued[FIFTH]) == READY
        await fault.accepted(await fault.post("next@example.com"))
        await fault.later(days=1)
        if hold:
            await fault.unharmed()
            assert (await fault.end(fault.queued[FIFTH])).state == "in_doubt"
        else:
            for message in fault.queued:
                await fault.accepted(message)
    # The sink took the fifth before its reply was lost, and nothing behind it in the same write.
    assert everybody(sink) == sorted(["next@example.com", *names(*range(6)), *([] if hold else names(4))])


# U32

SCALE = 200  # the 600 seconds of the reply to the end of data are 3 here


@pytest.mark.parametrize(("manner", "seconds"), [*((manner, 59) for manner in KEYWORDS), ("data", 540)])
async def test_u32_a_late_250_is_waited_for_and_other_connections_do_not_notice(office, manner, seconds):
    office.timeouts = replace(Timeouts().at_most(2.0), content=600 / SCALE)
    late = Answer("250 2.0.0 at last", delay=seconds / SCALE)
    async with in_manner(manner, content=first(late)) as sink, facing(office, sink) as fault:
        await fault.unharmed()
        assert await fault.end() == ACCEPTED
        assert await fault.said() == "250 2.0.0 at last"
        await fault.accepted(await fault.post("next@example.com"))
        assert await fault.health() == READY
        assert sink.sessions == 1
    assert everybody(sink) == ["next@example.com", "to@example.com"]


TAKEN = [
    {"content": Answer("250 nul\0 latin\udce9 escape\x1b[31m")},
    {"content": Answer("250 " + "x" * 8192)},
    {"content": Answer("250-2.0.0 taken\r\n250 2.0.0 really")},
    {"content": Answer("250 2.0.0 taken\r\n550 5.0.0 no")},
    {"content": Answer("250 2.0.0 taken\r\nrubbish")},
    {"content": Answer("250 2.0.0 taken", then="rst")},
    {"content": Answer("250 2.0.0 taken", then="drop")},
    {"quit": Answer("421 4.3.2 no")},
    {"quit": Answer("", delay=1.0)},
    {"quit": Answer(then="rst")},
]


@every_manner
async def test_u32_a_valid_250_is_accepted_once_whatever_follows(office, manner):
    office.timeouts = replace(office.timeouts, quit=0.2)
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        for number, answers in enumerate(TAKEN):
            sink.hooks = {phase: first(answer) for phase, answer in answers.items()}
            message = await fault.post(f"taken{number}@example.com")
            assert await fault.end(message) == ACCEPTED, answers
            assert (await office.delivery(message)).last_code == 250
            await fault.accepted(await fault.post(f"next{number}@example.com"))
            assert await fault.health(message) == READY
            assert await fault.broken_running() == 0
            for session in fault.worker.engine.pool.empty():  # and QUIT, whose answer matters to nobody
                fault.worker.engine.close_later(session)
        await fault.later(days=1)
        await fault.unharmed()
    everyone = [f"{kind}{number}@example.com" for kind in ("taken", "next") for number in range(len(TAKEN))]
    assert everybody(sink) == sorted(everyone)


AMID = [
    (Answer("250 2.0.0 taken as nul\0 latin\udce9 escape\x1b[31m"), [ACCEPTED, ACCEPTED]),
    (Answer("250 2.0.0 taken as " + "x" * 8192), [ACCEPTED, ACCEPTED]),
    (Answer("250 2.0.0 taken as 5", delay=0.3), [ACCEPTED, ACCEPTED]),
    # Of a window the sixth was on the wire, too, and nobody answered it.
    (Answer("250 2.0.0 taken as 5", then="rst"), [ACCEPTED, doubtful(BROKEN)]),
    (Answer("250 2.0.0 taken as 5", then="drop"), [ACCEPTED, doubtful(BROKEN)]),
    # Of a window one reply too many may be any command's: none of it can be trusted.
    (Answer("250 2.0.0 taken as 5\r\n550 5.0.0 no"), [doubtful(UNREADABLE), doubtful(UNREADABLE)]),
]


@every_manner
@pytest.mark.parametrize(("answer", "in_window"), AMID)
async def test_u32_a_250_amid_a_window_is_accepted_once_whatever_follows(office, manner, answer, in_window):
    async with (
        in_manner(manner, content=at_fifth(answer)) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        ends = await fault.all_ends()
        assert ends[FIFTH:] == (in_window if manner == "bdat" else [ACCEPTED, ACCEPTED])
        assert ends[: FIFTH - 1] == [ACCEPTED] * (FIFTH - 1)
        assert await fault.health(fault.queued[FIFTH]) == READY
        await fault.later(minutes=11)
        for message in fault.queued:
            await fault.accepted(message)
    doubted = [number for number, end in zip((FIFTH, 5), ends[FIFTH:], strict=True) if end.doubts]
    twice = names(*range(3, 6)) if doubted == [FIFTH, 5] else []  # it took all three, and said one thing more
    assert everybody(sink) == sorted(names(*range(6)) + twice)
