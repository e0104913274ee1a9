"""U24-U34 in the DATA manner: groups of commands, the next message's riding behind the final dot."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from scripted.client import SHORT, hop_to
from scripted.server import ScriptedServer
from scripted.sink import LOST, Answer, SinkServer
from smtp.kit import (
    BYE,
    DATA,
    MAIL,
    OK,
    QUICK,
    RSET,
    Lazy,
    Queue,
    blame,
    message,
    numbered,
    opened,
    pause,
    played,
    rcpt,
    refuse,
    said,
    verbs,
)
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.flow import Limits, Message
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

OPENED = opened("PIPELINING")
ONE, TWO = message(), message("two@example.org")
FIRST = f"{OPENED}{MAIL}{rcpt('one')}{DATA}"  # the first group, heard as a whole
TAKEN = said("250 ok", "250 ok", "354 go")
CONTENT = "@content\n"
SECOND = f"{RSET}{MAIL}{rcpt('two')}{DATA}"  # rides behind the first dot
TAKEN_AGAIN = said("250 reset", "250 ok", "250 ok", "354 go")
ENDED = f"{RSET}{OK}{BYE}"  # nothing is left open on an idle session


async def data(script, network, *messages, **fields):
    return await played(script, network, messages, Manner.DATA, **fields)


async def alone(script, network, **fields):
    """The one outcome, and whether the session may be used again."""
    flow, reusable, _ = await data(script, network, message(), **fields)
    (outcome,) = flow.outcomes
    assert flow.given_back == []
    return outcome, reusable


# The groups


async def test_a_group_is_written_before_any_of_its_replies(network):
    script = f"{FIRST}@quiet 0.1\n{TAKEN}C: Subject: x\nC: \nC: body\n@quiet 0.05\nC: .\nS: 250 taken\n{BYE}"
    outcome, reusable = await alone(script, network, flow=Queue([message()], stage=pause))
    assert (outcome.accepted, reusable) == (True, True)


async def test_the_next_group_rides_behind_the_dot(network):
    script = (
        f"{FIRST}{TAKEN}{CONTENT}{SECOND}@quiet 0.1\nS: 250 taken\n{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    )
    flow, reusable, server = await data(script, network, ONE, TWO)
    assert [outcome.accepted for outcome in flow.outcomes] == [True, True]
    assert reusable
    assert server.contents == [ONE.body.content, TWO.body.content]


async def test_only_the_first_commands_of_many_ride(network):
    names = [f"r{n}" for n in range(5)]
    many = message(*(f"{name}@example.org" for name in names))
    script = f"{FIRST}{TAKEN}{CONTENT}{RSET}{MAIL}{rcpt('r0')}@quiet 0.05\nS: 250 taken\n"
    script += said(*["250 ok"] * 3) + rcpt("r1", "r2", "r3") + "@quiet 0.05\n" + said(*["250 ok"] * 3)
    script += f"{rcpt('r4')}{DATA}{said('250 ok', '354 go')}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, _ = await data(script, network, message(), many, limits=Limits(commands=3))
    assert all(outcome.accepted for outcome in flow.outcomes)


# U24


@pytest.mark.parametrize("code", [450, 550, 530, 552])
async def test_u24_mail_is_refused_and_what_stands_behind_it_is_read(network, code):
    replies = said(f"{code} no", "503 MAIL first", "503 MAIL first")
    outcome, reusable = await alone(f"{FIRST}{replies}{ENDED}", network)
    assert blame(outcome) == (Phase.MAIL, Cause.REPLY, code)
    assert (outcome.after_dot, reusable) == (False, True)


async def test_u24_555_is_tried_again_alone_without_parameters(network):
    content = "Subject: x\r\n\r\nné\r\n".encode()
    script = opened("PIPELINING", "8BITMIME", "SIZE")
    script += f"C: MAIL FROM:<sender@example.org> SIZE=19 BODY=8BITMIME\n{rcpt('one')}{DATA}"
    script += said("555 what", "503 no", "503 no") + f"{RSET}{MAIL}{rcpt('one')}{DATA}{TAKEN_AGAIN}{CONTENT}"
    script += f"{RSET}C: MAIL FROM:<sender@example.org> SIZE=20\n{rcpt('two')}{DATA}"
    script += f"S: 250 taken\n{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, server = await data(script, network, message(content=content), TWO)
    assert [outcome.accepted for outcome in flow.outcomes] == [True, True]
    assert b"n=C3=A9" in server.contents[0]


@pytest.mark.parametrize("refused", ["503 no", "550 nobody"])
async def test_u24_555_and_354_all_the_same_is_ended_by_a_lone_dot_before_it_is_tried_again(network, refused):
    """What was said again would be content else, with nothing at its end."""
    script = f"{opened('PIPELINING', 'SIZE')}C: MAIL FROM:<sender@example.org> SIZE=20\n{rcpt('one')}{DATA}"
    script += said("555 what", refused, "354 go") + "C: .\n" + said("503 no valid recipients")
    script += f"{RSET}{MAIL}{rcpt('one')}{DATA}{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    outcome, _ = await alone(script, network)
    assert outcome.accepted


async def test_u24_555_twice_is_the_outcome(network):
    script = f"{opened('PIPELINING', 'SIZE')}C: MAIL FROM:<sender@example.org> SIZE=20\n{rcpt('one')}{DATA}"
    script += said("555 what", "503 no", "503 no") + f"{RSET}{MAIL}{rcpt('one')}{DATA}"
    script += said("250 ok", "555 what", "503 no", "503 no") + ENDED
    outcome, reusable = await alone(script, network)
    assert blame(outcome) == (Phase.MAIL, Cause.REPLY, 555)
    assert reusable


async def test_u24_555_and_the_session_gone_is_no_verdict_on_the_message(network):
    script = f"{opened('PIPELINING', 'SIZE')}C: MAIL FROM:<sender@example.org> SIZE=20\n{rcpt('one')}{DATA}"
    outcome, _ = await alone(script + said("555 what") + "@drop", network)
    assert blame(outcome)[1] is Cause.LOST


# U25


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (["421 bye"], (Phase.MAIL, Cause.REPLY, 421)),
        (["354 what"], (Phase.MAIL, Cause.REPLY, 354)),
        (["503 what", "503 what", "503 what"], (Phase.MAIL, Cause.REPLY, 503)),
        (["rubbish"], (Phase.MAIL, Cause.MALFORMED, None)),
        (["250 ok", "421 bye"], (Phase.RCPT, Cause.REPLY, 421)),
        (["250 ok", "354 what"], (Phase.RCPT, Cause.REPLY, 354)),
        (["250 ok", "503 what", "503 what"], (Phase.RCPT, Cause.REPLY, 503)),
        (["250 ok", "250ok"], (Phase.RCPT, Cause.MALFORMED, None)),
        (["250 ok", "250 ok", "421 bye"], (Phase.DATA, Cause.REPLY, 421)),
        (["250 ok", "250 ok", "250 what"], (Phase.DATA, Cause.REPLY, 250)),
        (["250 ok", "250 ok", "333 what"], (Phase.DATA, Cause.REPLY, 333)),
        (["250 ok", "250 ok", "503 what"], (Phase.DATA, Cause.REPLY, 503)),
        (["250 ok", "250 ok", "999 what"], (Phase.DATA, Cause.MALFORMED, None)),
        (["250 ok", "550 no", "250 ok", "354 go"], (Phase.DATA, Cause.REPLY, 250)),  # one reply too many
        (["250 ok", "250 again", "250 ok", "354 go"], (Phase.DATA, Cause.REPLY, 250)),
        (["250 ok", "250 ok", "354 go", "250 ok"], (Phase.CONTENT, Cause.UNDUE, None)),
        (["250 ok", "250 ok", "354 go", "421 bye"], (Phase.CONTENT, Cause.REPLY, 421)),
    ],
)
async def test_u25_out_of_order_before_the_content_ends_the_session(network, replies, expected):
    outcome, reusable = await alone(f"{FIRST}{said(*replies)}@close", network)
    assert blame(outcome) == expected
    assert (outcome.after_dot, reusable) == (False, False)


async def test_u25_a_reply_too_many_takes_back_what_the_others_seemed_to_say(network):
    """The 550 may have been the stray one: nobody is refused for it."""
    replies = said("250 ok", "550 no", "250 ok", "354 go", "250 ok")
    script = f"{OPENED}{MAIL}{rcpt('one', 'two')}{DATA}{replies}@close"
    flow, _, _ = await data(script, network, message("one@example.org", "two@example.org"))
    assert [blame(outcome) for outcome in flow.outcomes] == [(Phase.CONTENT, Cause.UNDUE, None)] * 2


@pytest.mark.parametrize("read", [0, 1, 2])
@pytest.mark.parametrize("end", ["@drop", "@rst"])
async def test_u25_lost_before_the_content(network, read, end):
    replies = said(*["250 ok"] * read) if read else ""
    outcome, reusable = await alone(f"{FIRST}{replies}{end}", network)
    assert blame(outcome) == ([Phase.MAIL, Phase.RCPT, Phase.DATA][read], Cause.LOST, None)
    assert (outcome.after_dot, reusable) == (False, False)


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_u25_silence_ends_with_the_phase_s_deadline(network, read):
    replies = said(*["250 ok"] * read) if read else ""
    outcome, reusable = await alone(f"{FIRST}{replies}@silence", network, timeouts=QUICK)
    assert blame(outcome) == ([Phase.MAIL, Phase.RCPT, Phase.DATA][read], Cause.TIMEOUT, None)
    assert not reusable


async def test_u25_a_refused_data_in_the_middle_harms_nobody_else(network):
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}S: 250 taken\n" + said("250 ok", "250 ok", "250 ok", "451 busy")
    script += f"{RSET}{MAIL}{rcpt('three')}{DATA}{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    flow, reusable, server = await data(script, network, ONE, TWO, message("three@example.org"))
    assert [blame(outcome) for outcome in flow.outcomes] == [None, (Phase.DATA, Cause.REPLY, 451), None]
    assert len(server.contents) == 2
    assert reusable


# U26


async def test_u26_recipients_are_judged_one_by_one(network):
    replies = said("250 ok", "250 ok", "550 5.1.1 no", "251 on", "452 4.5.3 many", "252 ok", "354 go")
    script = f"{OPENED}{MAIL}{rcpt(*'abcde')}{DATA}{replies}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, _ = await data(script, network, message(*(f"{name}@example.org" for name in "abcde")))
    assert [blame(outcome) and blame(outcome)[2] for outcome in flow.outcomes] == [None, 550, None, 452, None]
    assert [outcome.accepted_before for outcome in flow.outcomes] == [0, 1, 1, 2, 2]
    assert flow.stages[0][0][1] == ["a@example.org", "c@example.org", "e@example.org"]


@pytest.mark.parametrize("refusal", ["503 no recipients", "554 no recipients"])
async def test_u26_nobody_accepted_and_data_refused(network, refusal):
    flow, reusable, _ = await data(
        f"{FIRST}{said('250 ok', '550 no', refusal)}{ENDED}", network, message(), flow=Queue([message()])
    )
    assert [blame(outcome) for outcome in flow.outcomes] == [(Phase.RCPT, Cause.REPLY, 550)]
    assert flow.stages == []
    assert reusable


@pytest.mark.parametrize(
    ("to_dot", "reusable"), [("554 nobody", True), ("451 nobody", True), ("250 what", False)]
)
async def test_u26_354_without_a_recipient_gets_a_lone_dot(network, to_dot, reusable):
    script = f"{FIRST}{said('250 ok', '550 no', '354 go')}C: .\nS: {to_dot}\n"
    outcome, again = await alone(script + (ENDED if reusable else "@close"), network)
    assert blame(outcome) == (Phase.RCPT, Cause.REPLY, 550)
    assert again is reusable


async def test_u26_the_next_group_rides_behind_a_lone_dot(network):
    script = f"{FIRST}{said('250 ok', '550 no', '354 go')}C: .\n{SECOND}S: 554 nobody\n"
    script += f"{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, _ = await data(script, network, ONE, TWO)
    assert [blame(outcome) for outcome in flow.outcomes] == [(Phase.RCPT, Cause.REPLY, 550), None]
    assert [[one for one, _ in stage] for stage in flow.stages] == [[TWO]]


async def test_u26_nobody_taken_in_several_groups_is_given_no_data(network):
    script = f"{OPENED}{MAIL}{rcpt('a', 'b')}{said('250 ok', '550 no', '550 no')}"
    script += rcpt("c", "d", "e") + said(*["550 no"] * 3) + ENDED
    many = message(*(f"{name}@example.org" for name in "abcde"))
    flow, reusable, _ = await data(script, network, many, limits=Limits(commands=3))
    assert [blame(outcome)[2] for outcome in flow.outcomes] == [550] * 5
    assert reusable


async def test_u26_a_lone_dot_that_is_accepted_sends_the_rider_elsewhere(network):
    script = f"{FIRST}{said('250 ok', '550 no', '354 go')}C: .\n{SECOND}S: 250 what\n@close"
    flow, reusable, _ = await data(script, network, ONE, TWO)
    assert flow.given_back == [TWO]
    assert not reusable


async def test_354_behind_a_refused_mail_gets_a_lone_dot_if_nobody_was_taken(network):
    script = f"{FIRST}{said('550 no', '503 no', '354 go')}C: .\nS: 554 nobody\n{ENDED}"
    outcome, reusable = await alone(script, network)
    assert (blame(outcome), reusable) == ((Phase.MAIL, Cause.REPLY, 550), True)


async def test_354_behind_a_refused_mail_with_somebody_taken_gets_no_dot(network):
    """A dot would give that recipient an empty message."""
    outcome, reusable = await alone(f"{FIRST}{said('451 later', '250 ok', '354 go')}@close", network)
    assert (blame(outcome), reusable) == ((Phase.MAIL, Cause.REPLY, 451), False)


# U29

LARGE = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + (b"z" * 76 + b"\r\n") * 100_000


@pytest.mark.parametrize("read", [100, 1_000_000, 3_000_000])
@pytest.mark.parametrize("end", ["@drop", "@rst"])
async def test_u29_lost_within_the_content(network, read, end):
    large = message(content=LARGE)
    flow, reusable, _ = await data(
        f"{FIRST}{TAKEN}@read {read}\n{end}", network, large, TWO, receive_buffer=65_536
    )
    assert blame(flow.results[large].outcomes[0])[:2] == (Phase.CONTENT, Cause.LOST)
    assert (flow.outcomes[0].after_dot, flow.results[large].staged, reusable) == (False, False, False)
    assert list(flow.waiting) == [TWO]  # not pulled before the content was written


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.7.1 enough", (Phase.CONTENT, Cause.REPLY, 550)),
        ("421 closing", (Phase.CONTENT, Cause.REPLY, 421)),
        ("250 what", (Phase.CONTENT, Cause.UNDUE, None)),
    ],
)
async def test_u29_a_reply_within_the_content(network, reply, expected):
    script = f"{FIRST}{TAKEN}@read 1000\nS: {reply}\n@close any"
    flow, reusable, _ = await data(script, network, message(content=LARGE), receive_buffer=65_536)
    assert blame(flow.outcomes[0]) == expected
    assert (flow.outcomes[0].after_dot, reusable) == (False, False)


async def test_u29_a_server_that_reads_no_more_ends_with_the_block_s_deadline(network):
    script = f"{FIRST}{TAKEN}@stall 1.0\n@close any"
    outcome, _ = await alone(script, network, flow=Queue([Message(ONE.envelope, Lazy(100))]), timeouts=QUICK)
    assert blame(outcome) == (Phase.CONTENT, Cause.TIMEOUT, None)
    assert not outcome.after_dot


@pytest.mark.parametrize("what", ["@drop", "S: 421 idle\n@close", "S: 250 what\n@close"])
async def test_u29_what_comes_while_the_stage_is_committed_keeps_the_dot_back(network, what):
    script = f"{FIRST}{TAKEN}@read 20\n{what}"
    flow, reusable, server = await data(script, network, flow=Queue([ONE, TWO], stage=pause))
    assert blame(flow.outcomes[0])[0] is Phase.CONTENT
    assert (flow.outcomes[0].after_dot, flow.results[ONE].staged, reusable) == (False, True, False)
    assert flow.given_back == [TWO]
    assert not server.heard.endswith(b".\r\n")


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\r", b"\n.\r\n"], ids=repr)
@pytest.mark.parametrize("before", [0, 3])
async def test_a_bare_line_ending_is_met_before_the_end_of_data(network, bad, before):
    body = Lazy(before, last=bad)
    script = f"{FIRST}{TAKEN}@close any"
    flow, reusable, server = await data(script, network, Message(ONE.envelope, body), TWO)
    assert blame(flow.outcomes[0]) == (Phase.CONTENT, Cause.BARE_LINE_ENDING, None)
    assert (flow.outcomes[0].after_dot, flow.stages, reusable) == (False, [], False)
    assert not server.heard.endswith(b".\r\n")


# The stage


async def test_a_refused_stage_closes_without_the_dot_and_spares_the_next(network):
    flow, reusable, server = await data(
        f"{FIRST}{TAKEN}@read 20\n@close", network, flow=Queue([ONE, TWO], stage=refuse)
    )
    assert blame(flow.outcomes[0]) == (Phase.CONTENT, Cause.STALE, None)
    assert (flow.outcomes[0].after_dot, flow.results[ONE].staged, reusable) == (False, False, False)
    assert flow.given_back == [TWO]
    assert not server.heard.endswith(b".\r\n")


async def test_a_stage_that_fails_closes_without_the_dot_and_raises(network):
    async def fail():
        raise OSError("the disk is full")

    flow = Queue([ONE, TWO], stage=fail)
    async with ScriptedServer(f"{FIRST}{TAKEN}@read 20\n@close") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        with pytest.raises(OSError, match="disk"):
            await convey(session, flow, Manner.DATA)
        assert not session.reusable
    assert (flow.results, flow.given_back) == ({}, [])


# U30-U32: behind the dot, with a rider


@pytest.mark.parametrize("code", [451, 452, 550, 554])
async def test_u30_a_definite_no_lets_the_rider_go_on(network, code):
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}S: {code} no\n{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    flow, reusable, _ = await data(script, network, ONE, TWO)
    first, second = flow.outcomes
    assert blame(first) == (Phase.CONTENT, Cause.REPLY, code)
    assert (first.after_dot, first.in_doubt, second.accepted, reusable) == (True, False, True, True)


@pytest.mark.parametrize("code", [421, 503])
async def test_u30_a_no_that_ends_the_session_returns_the_rider(network, code):
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}S: {code} no\n@close"
    flow, reusable, _ = await data(script, network, ONE, TWO)
    assert blame(flow.outcomes[0]) == (Phase.CONTENT, Cause.REPLY, code)
    assert (flow.outcomes[0].in_doubt, flow.given_back, reusable) == (False, [TWO], False)


DOUBTS = [
    ("@drop", Cause.LOST),
    ("@rst", Cause.LOST),
    ("@silence", Cause.TIMEOUT),
    ("S: 354 go on\n@close", Cause.REPLY),
    ("S: 250ok\n@close", Cause.MALFORMED),
    ("S- 250 ok\n@drop", Cause.LOST),
    ("@endless 250-more", Cause.MALFORMED),
    ("S: 999 what\n@close", Cause.MALFORMED),
    ("S- 250-taken\\r\\n\n@drop", Cause.LOST),
    ("@drip 0.05\nS: 250 taken at last\n@close any", Cause.TIMEOUT),
]


@pytest.mark.parametrize(("rest", "cause"), DOUBTS)
async def test_u31_anything_else_is_doubt_for_the_one_and_returns_the_rider(network, rest, cause):
    flow, reusable, _ = await data(
        f"{FIRST}{TAKEN}{CONTENT}{SECOND}{rest}", network, ONE, TWO, timeouts=QUICK
    )
    assert blame(flow.outcomes[0])[:2] == (Phase.CONTENT, cause)
    assert (flow.outcomes[0].after_dot, flow.outcomes[0].in_doubt, reusable) == (True, True, False)
    assert flow.given_back == [TWO]


@pytest.mark.parametrize(
    "reply",
    [
        "S- 250 nul\\0 latin\\xe9\\r\\n\n",
        "S: 250 " + "x" * 8192 + "\n",
        "S- 250-taken\\r\\n250 really\\r\\n\n",
        "@delay 0.2\nS: 250 late\n",
        "@drip 0.002\nS: 250 taken, drop by drop\n@drip 0\n",
    ],
)
async def test_u32_an_odd_250_is_accepted_and_the_rider_goes_on(network, reply):
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}{reply}{TAKEN_AGAIN}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, _ = await data(script, network, ONE, TWO)
    assert [outcome.accepted for outcome in flow.outcomes] == [True, True]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("S- 250 taken\\r\\n550 no\\r\\n\n@close any", (Phase.RSET, Cause.REPLY, 550)),
        ("S- 250 taken\\r\\n421 bye\\r\\n\n@close any", (Phase.RSET, Cause.REPLY, 421)),
        ("S- 250 taken\\r\\nrubbish\\r\\n\n@close any", (Phase.RSET, Cause.MALFORMED, None)),
        ("S: 250 taken\n@rst", (Phase.RSET, Cause.LOST, None)),
        ("S: 250 taken\n@drop", (Phase.RSET, Cause.LOST, None)),
    ],
)
async def test_u32_after_a_250_whatever_follows_is_the_rider_s_first_reply(network, rest, expected):
    """Row 2 of the failure table: the rider goes out again at once, on a new session."""
    flow, reusable, _ = await data(f"{FIRST}{TAKEN}{CONTENT}{SECOND}{rest}", network, ONE, TWO)
    first, second = flow.outcomes
    assert first.accepted
    assert blame(second) == expected
    assert (second.after_dot, flow.results[TWO].first, reusable) == (False, False, False)


async def test_u32_one_reply_too_many_never_puts_content_on_the_session(network):
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}" + said("250 taken", "250 again", "250 ok", "250 ok", "250 ok")
    flow, reusable, server = await data(f"{script}@close any", network, ONE, TWO)
    assert [blame(outcome) for outcome in flow.outcomes] == [None, (Phase.DATA, Cause.REPLY, 250)]
    assert (len(server.contents), reusable) == (1, False)


# U33


@pytest.mark.parametrize("code", [500, 503, 554])
async def test_u33_a_refused_rset_ends_the_session_before_content(network, code):
    script = (
        f"{FIRST}{TAKEN}{CONTENT}{SECOND}S: 250 taken\n{said(f'{code} no', '250 ok', '250 ok', '354 go')}"
    )
    flow, reusable, server = await data(f"{script}@close", network, ONE, TWO)
    assert [blame(outcome) for outcome in flow.outcomes] == [None, (Phase.RSET, Cause.REPLY, code)]
    assert (flow.outcomes[1].after_dot, reusable, len(server.contents)) == (False, False, 1)


async def test_u33_nested_503_behind_a_refused_rset_gets_no_dot(network):
    """What design §6 warns of: MAIL 503 nested, RCPT and DATA taken into the earlier transaction."""
    script = f"{FIRST}{said('250 ok', '250 ok', '451 busy')}{SECOND}"
    script += said("500 what", "503 nested", "250 ok", "354 go") + "@close"
    flow, _, server = await data(script, network, ONE, TWO)
    assert [blame(outcome) for outcome in flow.outcomes] == [
        (Phase.DATA, Cause.REPLY, 451),
        (Phase.RSET, Cause.REPLY, 500),
    ]
    assert b"\r\n.\r\n" not in server.heard


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("@drop", (Phase.RSET, Cause.LOST, None)),
        ("S: 421 idle too long\n@close", (Phase.RSET, Cause.REPLY, 421)),
        (f"{SECOND}S: 421 max messages\n@close", (Phase.RSET, Cause.REPLY, 421)),
        (f"{SECOND}@drop", (Phase.RSET, Cause.LOST, None)),
    ],
)
async def test_u33_a_session_that_ended_while_idle(network, rest, expected):
    async with ScriptedServer(f"{FIRST}{TAKEN}{CONTENT}S: 250 taken\n@delay 0.05\n{rest}") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        await convey(session, Queue([ONE]), Manner.DATA)
        await asyncio.sleep(0.15)
        flow = Queue([TWO])
        await convey(session, flow, Manner.DATA)
        assert blame(flow.outcomes[0]) == expected
        assert not flow.results[TWO].first
        assert not session.reusable


# U34


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n",
        b"Subject: x\r\n\r\nno final newline",
        b"Subject: x\r\n",
        b"",
        b".",
        b"\r\n.",
        b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
        "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nné\r\n".encode(),
    ],
)
async def test_u34_the_receiver_has_the_exact_bytes(network, content):
    messages = [*numbered(2), message(content=content), *numbered(2)]
    async with SinkServer() as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        await convey(session, Queue(messages), Manner.DATA)
        await session.quit()
    body = await messages[2].body.fitted(eight_bit=True, smtputf8=True)
    ended = body.content if body.content.endswith(b"\r\n") or not body.content else body.content + b"\r\n"
    assert sink.accepted[2].content == ended
    assert len(sink.accepted) == 5
    assert sink.faults == []


async def test_u34_what_the_server_cannot_take_is_settled_without_a_word_and_the_rest_goes(network):
    messages = [
        message("zoé@example.org"),
        *numbered(2),
        message(content=b"Subject: x\r\n\r\n" + b"y\r\n" * 99),
    ]
    async with SinkServer(keywords=("PIPELINING", "SIZE 200")) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue(messages)
        await convey(session, flow, Manner.DATA)
        await session.quit()
    assert [blame(flow.results[one].outcomes[0]) for one in messages] == [
        (Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED, None),
        None,
        None,
        (Phase.MAIL, Cause.TOO_LARGE, None),
    ]
    assert verbs(sink) == "EMRDSMRDQ"


async def test_a_reply_lost_on_the_way_is_doubt_and_was_accepted(network):
    hooks = {"content": lambda moment: LOST if moment.transaction == 3 else None}
    async with SinkServer(hooks=hooks) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue(numbered(6))
        await convey(session, flow, Manner.DATA)
    assert [outcome.accepted for outcome in flow.outcomes] == [True, True, False]
    assert flow.outcomes[2].in_doubt
    assert (len(flow.given_back), len(flow.waiting)) == (1, 2)
    assert len(sink.accepted) == 3


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "content", "rset"])
async def test_cancelled_at_any_wait_the_session_is_closed(network, phase):
    slow = {phase: lambda moment: Answer("250 late", delay=30) if moment.transaction == 2 else None}
    async with SinkServer(hooks=slow) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue(numbered(4))
        task = asyncio.create_task(convey(session, flow, Manner.DATA))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.reusable


# The transcript


async def test_a_step_that_was_heard_before_in_the_same_words_is_told_as_any_other(network):
    again = (*["250 ok"] * 3, "354 go")
    script = f"{FIRST}{TAKEN}{CONTENT}{SECOND}{said('250 taken', *again)}{CONTENT}"
    script += f"{RSET}{MAIL}{rcpt('three')}{DATA}{said('250 taken', *again)}{CONTENT}S: 250 taken\n{BYE}"
    flow, _, _ = await data(script, network, ONE, TWO, message("three@example.org"))
    _, *others = [result.steps for result in flow.results.values()]
    for steps in others:
        assert [step.sent for step in steps[:4]] == [
            "RSET",
            "MAIL FROM:<sender@example.org>",
            steps[2].sent,
            "DATA",
        ]
        told = orjson.loads(orjson.dumps([step.told or step.as_json() for step in steps]))
        assert told == [step.as_json() for step in steps]
    assert [before is after for before, after in zip(*others, strict=True)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert [step.told is not None for step in others[1]] == [True, True, False, True, False]
