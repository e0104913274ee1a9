"""U24-U25: MAIL is refused, or the dialogue breaks before the content, alone and amid a window, in all manners."""

from __future__ import annotations

import pytest
from upstream_fault import (
    ACCEPTED,
    KEYWORDS,
    READY,
    End,
    everybody,
    facing,
    locked,
    refused,
    retry,
    waits,
)

from scripted.sink import DROP, Answer, SinkServer

pytestmark = pytest.mark.any_database

every_manner = pytest.mark.parametrize("manner", KEYWORDS)

LATER = "The server asks to try this message later."
OWN_SENDER = "The server refuses the connection's sender. The connection is locked."
TOO_LARGE = "The message is larger than the server takes. Make it smaller."
SIGN_IN = "The server wants a login; give the connection one."
PARAMETER = "The server does not take a parameter of the message."
BROKEN = "The dialogue with the server broke before the message was handed over."
CLOSING = "The server is closing its service for now."
LIMIT = "The account reached a limit of its server; it goes on later."


def first(answer):
    """A hook that gives this answer once."""
    given = [answer]
    return lambda _: given.pop() if given else None


def in_manner(manner, **hooks):
    return SinkServer(keywords=KEYWORDS[manner], hooks=hooks)


FIFTH = 4  # the second of the third window, where there are windows: 1, 2, 3


def at_fifth(answer):
    """A hook for the fifth transaction of the first session."""
    return lambda moment: answer if (moment.session, moment.transaction) == (1, FIFTH + 1) else None


def names(*numbers):
    return [f"r{number}@example.com" for number in numbers]


# U24


REFUSALS = {
    reply: (end, health)
    for reply, end, health in [
        ("450 4.3.2 busy", retry(LATER), READY),
        ("552 5.3.4 too big", refused(TOO_LARGE), READY),
        ("550 5.7.1 not your address", locked(OWN_SENDER), ("locked", OWN_SENDER, None)),
        ("550 no such sender", locked(OWN_SENDER), ("locked", OWN_SENDER, None)),
        ("452 4.3.1 full, come back in 20 minutes", retry(LATER, 1200.0), READY),
        ("530 5.7.0 authentication required", locked(SIGN_IN), ("locked", SIGN_IN, None)),
        ("451 4.7.1 sending rate exceeded", waits(LIMIT), ("throttled", LIMIT, 60.0)),
    ]
}


@every_manner
@pytest.mark.parametrize("reply", REFUSALS)
async def test_u24_mail_is_refused(office, manner, reply):
    end, health = REFUSALS[reply]
    async with in_manner(manner, mail=first(Answer(reply))) as sink, facing(office, sink) as fault:
        assert await fault.end() == end
        assert await fault.said() == reply
        state, *rest = health
        expected = READY if health == READY else (state, rest[0], reply, rest[1])
        assert await fault.health() == expected
        if health == READY:
            # The session stays, and carries the next one.
            await fault.accepted(await fault.post("next@example.com"))
            assert sink.sessions == 1
        if end.wait:
            await fault.later(seconds=end.wait + 1)
            await fault.accepted()
    taken = ["to@example.com"] if end.wait else []
    assert everybody(sink) == sorted((["next@example.com"] if health == READY else []) + taken)


@every_manner
@pytest.mark.parametrize("phase", ["mail", "rcpt"])
async def test_u24_of_a_window_only_the_refused_message_waits(office, manner, phase):
    async with (
        in_manner(manner, **{phase: at_fifth(Answer("450 4.3.2 busy"))}) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        ends = await fault.all_ends()
        text = LATER if phase == "mail" else "The server asks to try this recipient later."
        assert ends.pop(FIFTH) == retry(text)
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[FIFTH]) == READY
        assert everybody(sink) == names(0, 1, 2, 3, 5)
        assert sink.sessions == 1
        stages = [(await fault.tried(message))[0].staged_at for message in fault.queued]
        # With BDAT the fifth was in one commit with the fourth and the sixth.
        assert (len({stages[3], stages[FIFTH], stages[5]}) == 1) is (manner == "bdat")
        await fault.later(seconds=61)
        await fault.accepted(fault.queued[FIFTH])
    assert everybody(sink) == names(*range(6))
    assert {taken.manner for taken in sink.accepted} == {"BDAT" if manner == "bdat" else "DATA"}


@every_manner
async def test_u24_a_sender_refused_amid_a_window_harms_no_other_message(office, manner):
    reply = "550 5.7.1 not your address"
    async with (
        in_manner(manner, mail=at_fifth(Answer(reply))) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        assert await fault.end(fault.queued[FIFTH]) == locked(OWN_SENDER)
        assert await fault.health(fault.queued[FIFTH]) == ("locked", OWN_SENDER, reply, None)
        await fault.unharmed()
        before = [await fault.end(message, attempts=0) for message in fault.queued[:FIFTH]]
        behind = [await fault.end(message, attempts=0) for message in fault.queued[FIFTH + 1 :]]
    # What was in its window left; what was not waits untouched.
    assert before == [ACCEPTED] * FIFTH
    assert all(
        end == ACCEPTED or (end.state, end.outlook, end.counted) == ("queued", "locked", 0) for end in behind
    )
    assert everybody(sink) == sorted(names(*range(4)) + names(5)[: behind.count(ACCEPTED)])


@every_manner
async def test_u24_555_is_tried_again_without_the_parameters(office, manner):
    """At once, on the same session; the content is made fit for a server that takes ASCII alone."""
    keywords = KEYWORDS[manner]
    asked = []

    def mail(moment):
        asked.append(moment.argument)
        return Answer("555 5.5.4 unknown parameter") if " " in moment.argument else None

    async with (
        SinkServer(keywords=keywords, hooks={"mail": mail}) as sink,
        facing(
            office, sink, post={"text": "né", "headers": ["Content-Type: text/plain; charset=utf-8"]}
        ) as fault,
    ):
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
        assert sink.sessions == 1
    with_parameters, without = asked
    assert with_parameters.startswith("FROM:<office@example.org> SIZE=")
    assert without == "FROM:<office@example.org>"
    (taken,) = sink.accepted
    assert b"n=C3=A9" in taken.content
    assert taken.content.isascii()


@every_manner
async def test_u24_555_that_stays_refuses_the_message(office, manner):
    reply = "555 5.5.4 unknown parameter"
    async with in_manner(manner, mail=lambda _: Answer(reply)) as sink, facing(office, sink) as fault:
        assert await fault.end() == refused(PARAMETER)
        assert await fault.said() == reply
        assert await fault.health() == READY
    assert sink.accepted == []


# U25


PHASES = [("single", "mail"), ("single", "rcpt"), ("single", "data"), ("data", "mail"), ("data", "rcpt")]
PHASES += [("data", "data"), ("bdat", "mail"), ("bdat", "rcpt")]

WRONG = {"mail": "354 go ahead", "rcpt": "354 go ahead", "data": "250 ok"}


@pytest.mark.parametrize(("manner", "phase"), PHASES)
async def test_u25_a_dialogue_that_breaks_before_the_content_is_retried_on_a_new_session(
    office, manner, phase
):
    """Lost, another command's reply, one too many, silence: no body is written, and each try is counted."""
    extra = Answer(f"{'354 go' if phase == 'data' else '250 ok'}\r\n250 and again")
    ways = [DROP, Answer(then="rst"), Answer(WRONG[phase]), extra, Answer(delay=0.7)]
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        for number, answer in enumerate(ways):
            sink.hooks = {phase: first(answer)}
            fault.patience(**({phase: 0.5} if answer.delay else {}))
            message = await fault.post(f"way{number}@example.com", text=f"body {number}")
            assert await fault.end(message) == retry(BROKEN), answer
            fault.patience()
            assert await fault.health(message) == READY
            assert await fault.broken_running() == 1
            assert f"body {number}".encode() not in sink.heard
            await fault.later(seconds=61)
            await fault.accepted(message)
            assert await fault.broken_running() == 0
            assert sink.sessions == 2 * number + 2
    assert everybody(sink) == [f"way{number}@example.com" for number in range(len(ways))]


@every_manner
async def test_u25_a_421_makes_the_connection_wait_and_costs_the_message_nothing(office, manner):
    reply = "421 4.3.2 closing"
    phases = [phase for one, phase in PHASES if one == manner]
    async with in_manner(manner) as sink, facing(office, sink, None) as fault:
        for phase in phases:
            sink.hooks = {phase: first(Answer(reply, then="drop"))}
            message = await fault.post(f"{phase}@example.com")
            assert await fault.end(message) == waits(CLOSING), phase
            assert await fault.health(message) == ("throttled", CLOSING, reply, 60.0)
            waiting = await fault.post(f"behind-{phase}@example.com")
            await fault.later(seconds=61)
            await fault.accepted(message)
            await fault.accepted(waiting)
            assert await fault.health(message) == READY
            fault.worker.engine.pool.idle_limit = 0.0  # the next begins on a session of its own
    everyone = [f"{prefix}{phase}@example.com" for phase in phases for prefix in ("", "behind-")]
    assert everybody(sink) == sorted(everyone)


@every_manner
@pytest.mark.parametrize("answer", [DROP, Answer("421 4.3.2 closing", then="drop")])
async def test_u25_a_session_that_ends_amid_a_window_loses_nothing_and_repeats_nothing(
    office, manner, answer
):
    """At MAIL of the fifth: all are accepted once, or are in doubt where BDAT had put them on the wire."""
    async with (
        in_manner(manner, mail=at_fifth(answer)) as sink,
        facing(office, sink, queued=6) as fault,
    ):
        await fault.tried(fault.queued[FIFTH])
        for _ in range(3):
            await fault.later(seconds=61)
            await fault.unharmed()
        ends = [await fault.end(message) for message in fault.queued]
        doubts = [end for end in ends if end.state == "in_doubt"]
        assert len(doubts) == (2 if manner == "bdat" and answer is DROP else 0)
        assert all(end.outlook == "doubt_retry" for end in doubts)
        assert [end.state for end in ends if end not in doubts] == ["accepted"] * (6 - len(doubts))
    assert everybody(sink) == names(*(range(4) if doubts else range(6)))


async def test_u25_three_broken_dialogues_running_make_the_connection_wait(office):
    office.schedule = type(office.schedule)(delays=(0.05,), then=0.05, jitter=0.0)
    async with in_manner("data", data=lambda _: DROP) as sink, facing(office, sink) as fault:
        await fault.until_health("throttled")
        end = await fault.end(attempts=3)
        assert await fault.health() == ("throttled", BROKEN, "", 60.0)
        assert end == End("queued", BROKEN, "throttled", 60.0, counted=3, spent=pytest.approx(0.15))
        sink.hooks = {}
        await fault.later(seconds=61)
        await fault.accepted()
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]
