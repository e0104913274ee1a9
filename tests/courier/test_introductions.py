"""U12-U15: what a server answers to EHLO, and replies that are none; before a message is handed over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_fault import (
    ACCEPTED,
    KEYWORDS,
    LOGIN,
    PASSWORD,
    READY,
    SIGNED_IN,
    everybody,
    facing,
    refused,
    retry,
    trusting,
    waits,
)

from scripted.sink import Answer, SinkServer
from vaguemestre.mail.phase import Phase

pytestmark = pytest.mark.any_database

NO_DIALOGUE = "The server was reached, and the dialogue broke before it began."
AWAY = "The server turns us away before it takes any mail."
CLOSING = "The server is closing its service for now."
BROKEN = "The dialogue with the server broke before the message was handed over."


def first(answer):
    """A hook that gives this answer once."""
    given = [answer]
    return lambda _: given.pop() if given else None


# U12


async def test_u12_helo_serves_where_neither_tls_nor_a_login_is_needed(office):
    async with (
        SinkServer(hooks={"ehlo": first(Answer("500 5.5.1 what"))}) as sink,
        facing(office, sink) as fault,
    ):
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    assert [line.split()[0] for _, line in sink.commands][:2] == ["EHLO", "HELO"]
    assert everybody(sink) == ["to@example.com"]


@pytest.mark.parametrize("connect", [SIGNED_IN, {"encryption": "starttls", **SIGNED_IN}])
async def test_u12_there_is_no_helo_where_tls_or_a_login_is_needed(office, tmp_path, connect):
    reply = "502 5.5.1 not implemented"
    async with (
        SinkServer(hooks={"ehlo": lambda _: Answer(reply)}, login=LOGIN, password=PASSWORD) as sink,
        facing(office, sink, connect=connect, network=trusting(tmp_path)) as fault,
    ):
        assert await fault.end() == waits(AWAY)
        assert await fault.health() == ("throttled", AWAY, reply, 60.0)
    assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "QUIT"]


# U13


@pytest.mark.parametrize(
    ("answer", "text", "said", "cause"),
    [
        (Answer("421 4.3.2 closing", then="drop"), CLOSING, "421 4.3.2 closing", "reply"),
        (Answer(then="drop"), NO_DIALOGUE, "", "lost"),
        (Answer(then="rst"), NO_DIALOGUE, "", "lost"),
        (Answer("250 sink.example.org drips", pause=0.05), NO_DIALOGUE, "", "timeout"),
        (Answer("250-MORE", then="endless"), NO_DIALOGUE, "", "malformed"),
        (Answer("250 " + "x" * 1000, end="", then="endless"), NO_DIALOGUE, "", "malformed"),
    ],
)
async def test_u13_ehlo_goes_wrong(office, answer, text, said, cause):
    office.timeouts = replace(office.timeouts, ehlo=0.5)
    # A reply without end is given up at 64 KiB, long before its deadline.
    async with SinkServer(hooks={"ehlo": lambda _: answer}) as sink, facing(office, sink) as fault:
        assert await fault.end() == waits(text)
        assert await fault.health() == ("throttled", text, said, 60.0)
        assert (await office.delivery(fault.message)).trouble["cause"] == cause
    assert sink.accepted == []


# U14

MALFORMED = [
    Answer("250ok"),
    Answer("25 ok"),
    Answer("250 ok", end="\n"),
    Answer("\r\n", end=""),
    Answer("250-a\r\n550 b"),
    Answer("999 what"),
    Answer("150 wait"),
    Answer("\ufeff250 ok"),
]


async def test_u14_a_malformed_answer_to_ehlo(office):
    async with SinkServer() as sink, facing(office, sink, None) as fault:
        for number, answer in enumerate(MALFORMED):
            sink.hooks = {"ehlo": first(answer)}
            message = await fault.post(f"way{number}@example.com")
            assert await fault.end(message) == waits(NO_DIALOGUE), answer
            await fault.later(seconds=61)
            await fault.accepted(message)
            fault.worker.engine.pool.idle_limit = 0.0  # each way begins on a session of its own
    assert everybody(sink) == [f"way{number}@example.com" for number in range(len(MALFORMED))]


@pytest.mark.parametrize(
    ("manner", "phase", "answers"),
    [
        ("data", "mail", MALFORMED),
        *((manner, "mail", MALFORMED[4:5]) for manner in ("single", "bdat")),
        *((manner, "rcpt", MALFORMED[:1]) for manner in KEYWORDS),
        # With BDAT no reply stands between content and verdict: a malformed one is doubt there (U31).
        *((manner, "data", MALFORMED[:1]) for manner in ("single", "data")),
    ],
)
async def test_u14_a_malformed_reply_before_the_end_of_data_is_retried(office, manner, phase, answers):
    async with SinkServer(keywords=KEYWORDS[manner]) as sink, facing(office, sink, None) as fault:
        for number, answer in enumerate(answers):
            sink.hooks = {phase: first(answer)}
            message = await fault.post(f"way{number}@example.com")
            assert await fault.end(message) == retry(BROKEN), answer
            assert await fault.health(message) == READY
            assert await fault.broken_running() == 1
            await fault.later(seconds=61)
            await fault.accepted(message)
            assert await fault.broken_running() == 0
            fault.worker.engine.pool.idle_limit = 0.0  # each way begins on a session of its own
    assert everybody(sink) == [f"way{number}@example.com" for number in range(len(answers))]


@pytest.mark.parametrize("manner", KEYWORDS)
async def test_u14_odd_replies_are_replies_and_their_text_is_made_safe(office, manner):
    odd = "nul\0 escape\x1b[31m right-to-left\u202e " + "x" * 8192
    replies = {"n": f"550 5.1.1 {odd}", "l": "550 5.1.1 caf\udce9", "y": f"250 {odd}"}
    hooks = {
        "mail": lambda _: Answer("250"),
        "rcpt": lambda moment: Answer(replies[moment.argument[0]]),
    }
    names = ["yes@example.com", "no@example.com", "latin@example.com"]
    async with (
        SinkServer(hooks=hooks, keywords=KEYWORDS[manner]) as sink,
        facing(office, sink, *names) as fault,
    ):
        no = refused("The server refuses this recipient.")
        assert await fault.ends() == dict(zip(names, [ACCEPTED, no, no], strict=True))
        kept = {name: found.last_text for name, found in (await office.deliveries(fault.message)).items()}
        assert kept["no@example.com"].startswith("5.1.1 nul\\x00 escape\\x1b[31m right-to-left\\u{202e} xx")
        assert len(kept["no@example.com"]) == 2000
        assert kept["latin@example.com"] == "5.1.1 café"
        (attempt,) = await fault.tried()
        assert not {"\0", "\x1b", "\u202e"} & set(
            "".join(step["reply"]["text"] for step in attempt.steps[2:])
        )
    assert everybody(sink) == ["yes@example.com"]


# U15


def announcing(*lines):
    """A hook for EHLO."""
    said = ["sink.example.org", *lines]
    return lambda _: Answer("\r\n".join([*(f"250-{line}" for line in said[:-1]), f"250 {said[-1]}"]))


@pytest.mark.parametrize(
    "lines",
    [
        ["SIZE abc", "8BITMIME"],
        ["SIZE 0"],
        ["SIZE"],
        ["size 1000000", "pipelining", "chunking"],
        ["PIPELINING", "PIPELINING", "SIZE 9999", "SIZE 8888"],
        [f"X-KEYWORD-{number}" for number in range(500)],
        ["-", "!?", "X" * 3000],
    ],
)
async def test_u15_odd_announcements_are_borne_with(office, lines):
    async with SinkServer(hooks={"ehlo": announcing(*lines)}) as sink, facing(office, sink) as fault:
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    assert everybody(sink) == ["to@example.com"]


@pytest.mark.parametrize("line", ["AUTH=LOGIN PLAIN", "auth plain", "AUTH=PLAIN"])
async def test_u15_a_login_is_offered_in_the_old_way_or_in_small_letters(office, line):
    hooks = {"ehlo": announcing(line)}
    async with (
        SinkServer(hooks=hooks, login=LOGIN, password=PASSWORD, require_auth=True) as sink,
        facing(office, sink, connect=SIGNED_IN) as fault,
    ):
        assert await fault.end() == ACCEPTED
    assert [taken.login for taken in sink.accepted] == [LOGIN]


@pytest.mark.parametrize("manner", KEYWORDS)
async def test_u15_a_message_over_the_announced_size_is_refused_before_a_byte_of_it_leaves(office, manner):
    keywords = (*(word for word in KEYWORDS[manner] if "SIZE" not in word), "SIZE 1000")
    async with (
        SinkServer(keywords=keywords) as sink,
        facing(office, sink, post={"text": "x" * 2000}) as fault,
    ):
        assert await fault.end() == refused("The message is larger than the server takes. Make it smaller.")
        facts = (await office.delivery(fault.message)).trouble["facts"]
        assert (facts["limit"], int(facts["size"]) > 2000) == ("1000", True)
        assert await fault.health() == READY
        assert (await fault.tried())[0].steps[-1]["phase"] == Phase.EHLO
        await fault.accepted(await fault.post("small@example.com"))
    assert everybody(sink) == ["small@example.com"]
    assert not any("to@example.com" in line for _, line in sink.commands)
