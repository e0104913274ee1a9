"""U14, U24-U34 in the BDAT manner: whole transactions in one write, several in flight, and every way they fail.

Scripts begin with one message by itself, which the careful way proves the session with; then comes a window.
"""

from __future__ import annotations

import asyncio

import pytest

from scripted.client import SHORT, hop_to
from scripted.server import ScriptedServer
from scripted.sink import LOST, Answer, SinkServer
from smtp.kit import (
    BOTH,
    BYE,
    DATA,
    HELLO,
    MAIL,
    OK,
    QUICK,
    RSET,
    SYNC,
    Lazy,
    Queue,
    bdat,
    blame,
    message,
    numbered,
    opened,
    pause,
    rcpt,
    refuse,
    said,
)
from smtp.windows import (
    FIRST,
    GOOD,
    MESSAGES,
    ONE,
    OPENED,
    TAKEN,
    THREE,
    TWO,
    WINDOW,
    ZERO,
    bdats,
    doubt,
    no,
    offered,
    troubles,
)
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.flow import Limits, Message
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.smtp.window import convey

# How it is written


async def test_the_first_content_waits_for_its_recipients_and_the_stage(network):
    script = f"{OPENED}{MAIL}{rcpt('zero')}@quiet 0.05\n{said('250 ok', '250 ok')}@quiet 0.05\n{bdat()}"
    script += f"{SYNC}{said('250 taken', *HELLO)}{BYE}"
    flow, reusable, _ = await bdats(script, network, flow=Queue([ZERO], stage=pause))
    assert flow.outcomes[0].accepted
    assert reusable


async def test_a_window_is_staged_as_one_and_written_before_any_of_its_replies(network):
    script = f"{WINDOW}@quiet 0.05\n{said(*GOOD, *GOOD, *GOOD, *HELLO)}{BYE}"
    flow, reusable, server = await bdats(script, network)
    assert all(outcome.accepted and outcome.after_dot for outcome in flow.outcomes)
    assert [[one for one, _ in stage] for stage in flow.stages] == [[ZERO], [ONE, TWO, THREE]]
    assert [result.grouped for result in flow.results.values()] == [1, 3, 3, 3]
    assert reusable
    assert server.heard.count(b"RSET") == 3


async def test_a_window_writes_nothing_before_its_stage(network):
    script = f"{FIRST}@quiet 0.05\n{offered('one')}{offered('two')}{SYNC}{said(*GOOD, *GOOD, *HELLO)}{BYE}"
    flow, _, _ = await bdats(script, network, flow=Queue([ZERO, ONE, TWO], stage=pause))
    assert all(outcome.accepted for outcome in flow.outcomes)


# U14, U25: a reply that breaks the dialogue, at each place of the second transaction

BREAKS = [("421 bye", 421), ("354 what", 354), ("rubbish", None), ("250ok", None), ("999 what", None)]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(("reply", "code"), BREAKS)
async def test_u25_what_breaks_the_dialogue_leaves_in_doubt_what_was_not_answered(
    network, place, reply, code
):
    script = f"{WINDOW}{said(*GOOD, *GOOD[:place], reply)}@close any"
    found, reusable = await troubles(script, network)
    phase = [Phase.RSET, Phase.MAIL, Phase.RCPT, Phase.CONTENT][place]
    cause = Cause.REPLY if code else Cause.MALFORMED
    expected = {
        421: [TAKEN, *[no(phase, 421)] * 2],  # the service closes: none of them was taken (row 3)
        # Out of step, and no saying since when; to the content itself it is no more than an odd answer.
        354: [TAKEN, doubt(cause, 354), doubt(Cause.UNDUE)] if place == 3 else [doubt(Cause.UNDUE)] * 3,
        None: [TAKEN, *[doubt(cause)] * 2],
    }
    assert found == expected[code]
    assert not reusable


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    ("end", "cause"), [("@drop", Cause.LOST), ("@rst", Cause.LOST), ("@silence", Cause.TIMEOUT)]
)
async def test_u25_lost_at_any_place_leaves_in_doubt_what_was_not_answered(network, place, end, cause):
    script = f"{WINDOW}{said(*GOOD, *GOOD[:place])}@delay 0.05\n{end}"
    # Of the others the usual time: a busy machine may take longer than that until it ends.
    found, reusable = await troubles(script, network, timeouts=QUICK if cause is Cause.TIMEOUT else SHORT)
    assert found == [TAKEN, doubt(cause), doubt(cause)]
    assert not reusable


@pytest.mark.parametrize("place", range(4))
async def test_u25_a_421_behind_which_the_server_goes_on_is_doubt(network, place):
    """It must close (RFC 5321 §3.8). One that does not may take what was written behind."""
    script = f"{WINDOW}{said(*GOOD, *GOOD[:place], '421 not now', *GOOD[place + 1 :], *GOOD)}@close any"
    found, reusable = await troubles(script, network)
    itself = no(Phase.CONTENT, 421) if place == 3 else doubt(Cause.UNDUE)
    assert found == [TAKEN, itself, doubt(Cause.UNDUE)]
    assert not reusable


async def test_u14_any_splitting_of_a_window_s_replies_is_read_the_same(network):
    script = (
        f"{WINDOW}@drip 0.0005\n{said(*GOOD, '250-reset', '250 now', *GOOD[1:], *GOOD, *HELLO)}@drip 0\n{BYE}"
    )
    found, reusable = await troubles(script, network)
    assert (found, reusable) == ([TAKEN] * 3, True)


# U24: MAIL


@pytest.mark.parametrize("code", [450, 530, 550, 552])
async def test_u24_a_refused_mail_voids_its_transaction_alone(network, code):
    void = ["250 reset", f"{code} no", "503 MAIL first", "503 MAIL first"]
    script = f"{WINDOW}{said(*GOOD, *void, *GOOD, *HELLO)}{BYE}"
    found, reusable = await troubles(script, network)
    assert (found, reusable) == ([TAKEN, no(Phase.MAIL, code), TAKEN], True)


@pytest.mark.parametrize("recipient", ["250 ok", "503 no", "550 no"])
async def test_u24_a_refused_mail_whose_content_is_taken_is_doubt(network, recipient):
    void = ["250 reset", "451 later", recipient, "250 taken"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *void, *GOOD, *HELLO)}@close", network)
    assert found == [TAKEN, doubt(Cause.UNDUE), TAKEN]
    assert not reusable


async def test_u24_a_refused_mail_stays_refused_when_the_dialogue_breaks_behind_it(network):
    found, _ = await troubles(f"{WINDOW}{said(*GOOD, '250 reset', '550 no')}@drop", network)
    assert found == [TAKEN, no(Phase.MAIL, 550), doubt(Cause.LOST)]


async def test_u24_555_is_tried_again_alone_without_parameters(network):
    opening = opened("PIPELINING", "CHUNKING", "SIZE")
    sized = "C: MAIL FROM:<sender@example.org> SIZE=20\n"
    script = (
        f"{opening}{sized}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}{said('250 taken', *HELLO)}"
    )
    script += "".join(offered(name).replace(MAIL, sized) for name in ("one", "two")) + SYNC
    script += said("250 reset", "555 what", "503 no", "503 no", *GOOD, *HELLO)
    script += f"{RSET}{MAIL}{rcpt('one')}{said(*GOOD[:3])}{bdat()}{SYNC}{said('250 taken', *HELLO)}{BYE}"
    flow, reusable, _ = await bdats(script, network, ZERO, ONE, TWO)
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert [[one for one, _ in stage] for stage in flow.stages] == [[ZERO], [ONE, TWO], [ONE]]
    assert reusable


@pytest.mark.parametrize(("end", "code"), [("421 bye", 421), ("rubbish", None)])
async def test_u24_555_and_the_session_gone_is_no_verdict_on_the_message(network, end, code):
    opening = opened("PIPELINING", "CHUNKING", "SIZE")
    sized = "C: MAIL FROM:<sender@example.org> SIZE=20\n"
    script = (
        f"{opening}{sized}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}{said('250 taken', *HELLO)}"
    )
    script += "".join(offered(name).replace(MAIL, sized) for name in ("one", "two")) + SYNC
    script += said("250 reset", "555 what", "503 no", "503 no", end) + "@close any"
    flow, _, _ = await bdats(script, network, ZERO, ONE, TWO)
    outcome = flow.results[ONE].outcomes[0]
    assert (blame(outcome)[1:], outcome.in_doubt) == (
        (Cause.REPLY if code else Cause.MALFORMED, code),
        False,
    )


# U26: RCPT


async def test_u26_recipients_are_judged_one_by_one(network):
    many = message(*(f"{name}@example.org" for name in "abcde"))
    script = f"{FIRST}{RSET}{MAIL}{rcpt(*'abcde')}{bdat()}{SYNC}"
    script += said(
        *GOOD[:2], "250 ok", "550 5.1.1 no", "251 on", "452 4.5.3 many", "252 ok", "250 taken", *HELLO
    )
    flow, reusable, _ = await bdats(script + BYE, network, ZERO, many)
    outcomes = flow.results[many].outcomes
    assert [None if outcome.accepted else blame(outcome)[2] for outcome in outcomes] == [
        None,
        550,
        None,
        452,
        None,
    ]
    assert [outcome.accepted_before for outcome in outcomes] == [0, 1, 1, 2, 2]
    assert flow.stages[1][0][1] == [f"{name}@example.org" for name in "abcde"]  # nobody was answered yet
    assert reusable


async def test_u26_nobody_taken_concerns_nobody_else(network):
    refused = ["250 reset", "250 ok", "550 no", "554 no recipients"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *refused, *GOOD, *HELLO)}{BYE}", network)
    assert (found, reusable) == ([TAKEN, no(Phase.RCPT, 550), TAKEN], True)


async def test_u26_nobody_taken_and_content_taken_all_the_same_ends_the_session(network):
    odd = ["250 reset", "250 ok", "550 no", "250 taken"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *odd, *GOOD, *HELLO)}@close", network)
    assert found == [TAKEN, no(Phase.RCPT, 550), TAKEN]
    assert not reusable


async def test_u26_nobody_taken_stays_so_when_the_dialogue_breaks_behind_it(network):
    found, _ = await troubles(f"{WINDOW}{said(*GOOD, '250 reset', '250 ok', '450 later')}@drop", network)
    assert found == [TAKEN, no(Phase.RCPT, 450), doubt(Cause.LOST)]


async def test_u26_503_to_a_recipient_voids_the_transaction(network):
    odd = ["250 reset", "250 ok", "503 what", "503 what"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *odd, *GOOD, *HELLO)}@close", network)
    assert found == [TAKEN, no(Phase.RCPT, 503), TAKEN]
    assert not reusable


# U30: the content is refused


@pytest.mark.parametrize("code", [451, 452, 550, 552, 554])
async def test_u30_a_definite_no_concerns_nobody_else(network, code):
    refused = [*GOOD[:3], f"{code} no"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *refused, *GOOD, *HELLO)}{BYE}", network)
    assert (found, reusable) == ([TAKEN, no(Phase.CONTENT, code), TAKEN], True)


@pytest.mark.parametrize("code", [501, 503, 504])
async def test_a_bdat_that_is_not_taken_blames_the_manner_and_what_follows_is_read(network, code):
    refused = [*GOOD[:3], f"{code} what"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *refused, *GOOD, *HELLO)}@close", network)
    assert (found, reusable) == ([TAKEN, no(Phase.DATA, code, Cause.BDAT_REFUSED), TAKEN], False)


@pytest.mark.parametrize("code", [500, 502])
async def test_a_bdat_that_is_not_known_leaves_nothing_behind_it_to_be_trusted(network, code):
    """Its content was read as commands, or this answers something else: the server did take BDAT before."""
    refused = [*GOOD[:3], f"{code} what"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *refused, *GOOD)}@close any", network)
    assert found == [doubt(Cause.UNDUE)] * 3
    assert not reusable


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
async def test_a_server_that_announces_chunking_and_takes_no_bdat_is_told_by_one_message(network, code):
    script = f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}{said(f'{code} what', *HELLO)}@close any"
    flow, reusable, _ = await bdats(script, network)
    (outcome,) = flow.outcomes
    assert blame(outcome) == (Phase.DATA, Cause.BDAT_REFUSED, code)
    assert (outcome.after_dot, outcome.in_doubt, reusable) == (False, False, False)
    assert list(flow.waiting) == [ONE, TWO, THREE]


# U31, U32: behind the last content


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        ("@drop", Cause.LOST),
        ("@rst", Cause.LOST),
        ("@silence", Cause.TIMEOUT),
        ("S: 354 go on\n@close", Cause.REPLY),
        ("S- 250 ok\n@drop", Cause.LOST),
        ("@endless 250-more", Cause.MALFORMED),
        ("S- 250-taken\\r\\n\n@drop", Cause.LOST),
        ("@drip 0.05\nS: 250 taken at last\n@close any", Cause.TIMEOUT),
    ],
)
@pytest.mark.parametrize("careful", [True, False])
async def test_u31_anything_else_is_doubt(network, rest, cause, careful):
    start = f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}"
    script = start if careful else FIRST + offered("one") + SYNC + said(*GOOD[:3])
    flow, reusable, _ = await bdats(script + rest, network, *MESSAGES[: 1 if careful else 2], timeouts=QUICK)
    *before, last = flow.outcomes
    assert all(outcome.accepted for outcome in before)
    assert blame(last)[:2] == (Phase.CONTENT, cause)
    assert (last.after_dot, last.in_doubt, reusable) == (True, True, False)


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
async def test_u32_an_odd_250_is_accepted(network, reply):
    script = f"{WINDOW}{said(*GOOD[:3])}{reply}{said(*GOOD, *GOOD[:3])}{reply}{said(*HELLO)}{BYE}"
    found, reusable = await troubles(script, network)
    assert (found, reusable) == ([TAKEN] * 3, True)


@pytest.mark.parametrize("rest", ["@rst", "@drop", "S: 421 bye\n@close any", f"{BYE}".replace("221", "421")])
async def test_u32_a_250_is_accepted_whatever_follows(network, rest):
    rest = said(*HELLO) + rest if "QUIT" in rest else rest
    found, _ = await troubles(f"{WINDOW}{said(*GOOD, *GOOD, *GOOD)}{rest}", network)
    assert found == [TAKEN] * 3


# U33: RSET and idle sessions


@pytest.mark.parametrize("code", [450, 500, 503])
async def test_u33_a_refused_rset_within_a_window_ends_the_session_behind_it(network, code):
    odd = [f"{code} what", *GOOD[1:]]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *odd, *GOOD, *HELLO)}@close", network)
    assert (found, reusable) == ([TAKEN] * 3, False)


async def test_u33_nested_503_behind_a_refused_rset_blames_the_session(network):
    """Row 2: at once, on a new session; the mail was never offered for itself."""
    odd = ["500 what", "503 nested", "503 no", "503 no"]
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *odd, *GOOD, *HELLO)}@close", network)
    assert found == [TAKEN, no(Phase.RSET, 500), TAKEN]
    assert not reusable


async def test_u33_nested_503_and_content_taken_into_the_earlier_transaction_is_doubt(network):
    odd = ["500 what", "503 nested", "250 ok", "250 taken"]
    found, _ = await troubles(f"{WINDOW}{said(*GOOD, *odd)}@drop", network)
    assert found == [doubt(Cause.UNDUE)] * 3


async def test_u33_a_refused_rset_and_a_break_is_doubt(network):
    found, _ = await troubles(f"{WINDOW}{said(*GOOD, '500 what', '503 nested')}@drop", network)
    assert found == [doubt(Cause.UNDUE)] * 3


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("@drop", (Phase.RSET, Cause.LOST, None)),
        ("S: 421 idle too long\n@close", (Phase.RSET, Cause.REPLY, 421)),
        ("S: 250 what\n@close", (Phase.RSET, Cause.UNDUE, None)),
    ],
)
async def test_u33_a_session_that_ended_while_idle_offers_nothing(network, rest, expected):
    async with ScriptedServer(f"{FIRST}@delay 0.05\n{rest}") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        session.window = 4
        await convey(session, Queue([ZERO]), Manner.BDAT)
        await asyncio.sleep(0.15)
        flow = Queue([ONE, TWO, THREE])
        await convey(session, flow, Manner.BDAT)
        assert blame(flow.results[ONE].outcomes[0]) == expected
        assert not flow.results[ONE].outcomes[0].after_dot
        assert flow.given_back == [TWO, THREE]
        assert flow.stages == []
        assert not session.reusable


@pytest.mark.parametrize("what", ["@drop", "S: 421 idle\n@close", "S: 250 what\n@close"])
async def test_u33_what_comes_while_a_window_is_staged_keeps_it_back(network, what):
    flow = Queue([ZERO, ONE, TWO, THREE], stage=pause)
    _, reusable, server = await bdats(f"{FIRST}@delay 0.03\n{what}", network, flow=flow)
    for one in (ONE, TWO, THREE):
        (outcome,) = flow.results[one].outcomes
        assert blame(outcome)[0] is Phase.RSET
        assert (outcome.after_dot, flow.results[one].staged) == (False, True)
    assert not reusable
    assert b"RSET" not in server.heard


# The stage


async def test_a_refused_stage_writes_nothing_and_keeps_the_session(network):
    flow = Queue(MESSAGES)
    async with SinkServer(keywords=BOTH) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        session.proven, session.window = True, 4
        flow._stage = refuse
        await convey(session, flow, Manner.BDAT)
        assert [blame(outcome) for outcome in flow.outcomes] == [(Phase.CONTENT, Cause.STALE, None)] * 4
        assert session.reusable
        await session.quit()
    assert [line for _, line in sink.commands] == ["EHLO client.example.org", "QUIT"]


async def test_a_stage_that_fails_ends_the_session_and_raises(network):
    async def fail():
        raise OSError("the disk is full")

    async with SinkServer(keywords=BOTH) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        session.proven, session.window = True, 4
        flow = Queue(MESSAGES, stage=fail)
        with pytest.raises(OSError, match="disk"):
            await convey(session, flow, Manner.BDAT)
        assert not session.reusable
    assert (flow.results, flow.given_back) == ({}, [])


# Large content


def large(blocks, last=b""):
    return Message(ONE.envelope, Lazy(blocks, b"x" * 98 + b"\r\n", last=last))


def chunk(size=100, *, last=False):
    return bdat(size, last=last)


START = f"{OPENED}{MAIL}{rcpt('one')}{said('250 ok', '250 ok')}"


async def test_the_chunks_before_the_last_are_answered_before_the_stage(network):
    script = f"{START}{chunk()}{chunk()}S: 250 got\n@quiet 0.05\nS: 250 got\n{chunk(last=True)}{SYNC}"
    script += f"{said('250 taken', *HELLO)}{BYE}"
    flow, reusable, _ = await bdats(script, network, large(3))
    assert flow.outcomes[0].accepted
    assert (len(flow.stages), reusable) == (1, True)


@pytest.mark.parametrize(
    ("reply", "expected", "ends"),
    [
        ("452 full", (Phase.CONTENT, Cause.REPLY, 452), f"{RSET}{OK}{BYE}"),
        ("552 too big", (Phase.CONTENT, Cause.REPLY, 552), f"{RSET}{OK}{BYE}"),
        ("503 what", (Phase.DATA, Cause.BDAT_REFUSED, 503), "@close"),
        ("502 what", (Phase.DATA, Cause.BDAT_REFUSED, 502), "@close"),
        ("421 bye", (Phase.CONTENT, Cause.REPLY, 421), "@close"),
        ("354 what", (Phase.CONTENT, Cause.REPLY, 354), "@close"),
        ("rubbish", (Phase.CONTENT, Cause.MALFORMED, None), "@close"),
    ],
)
async def test_u29_a_chunk_that_is_not_taken_stops_the_rest(network, reply, expected, ends):
    flow, reusable, _ = await bdats(
        f"{START}{chunk()}@delay 0.02\nS: {reply}\n{ends}", network, large(1, b"x\r\n")
    )
    assert blame(flow.outcomes[0]) == expected
    assert (flow.outcomes[0].after_dot, flow.stages) == (False, [])
    assert reusable is (ends != "@close")


async def test_u29_nothing_more_is_read_for_a_server_that_takes_no_more(network):
    body = Lazy(100)
    async with SinkServer(keywords=BOTH, hooks={"bdat": lambda _: Answer("452 4.3.1 full")}) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue([Message(ONE.envelope, body), TWO])
        await convey(session, flow, Manner.BDAT)
        await session.quit()
    assert blame(flow.outcomes[0]) == (Phase.CONTENT, Cause.REPLY, 452)
    assert body.given < body.size / 2
    assert sink.faults == []


@pytest.mark.parametrize("what", ["@drop", "S: 421 idle\n@close", "S: 250 what\n@close"])
async def test_u29_what_comes_while_a_single_one_is_staged_keeps_its_end_back(network, what):
    flow = Queue([Message(ONE.envelope, Lazy(1, b"a\r\n", last=b"b\r\n"))], stage=pause)
    _, reusable, server = await bdats(f"{START}{chunk(3)}S: 250 got\n@delay 0.03\n{what}", network, flow=flow)
    assert blame(flow.outcomes[0])[0] is Phase.CONTENT
    assert (flow.outcomes[0].after_dot, len(flow.stages), reusable) == (False, 1, False)
    assert b"LAST" not in server.heard


@pytest.mark.parametrize("end", ["@drop", "@rst", "@silence"])
async def test_u29_lost_between_chunks_is_no_doubt(network, end):
    script = f"{START}{chunk()}S: 250 got\n{chunk()}{end}"
    flow, reusable, _ = await bdats(script, network, large(3), timeouts=QUICK)
    assert blame(flow.outcomes[0])[1] in {Cause.LOST, Cause.TIMEOUT}
    assert (flow.outcomes[0].after_dot, flow.outcomes[0].in_doubt, reusable) == (False, False, False)


async def test_u29_a_server_that_reads_no_more_ends_with_the_block_s_deadline(network):
    flow = Queue([Message(ONE.envelope, Lazy(100))])
    started = asyncio.get_running_loop().time()
    await bdats(f"{START}@stall 0.9\n@close any", network, flow=flow, timeouts=QUICK, receive_buffer=4096)
    assert blame(flow.outcomes[0])[:2] == (Phase.CONTENT, Cause.TIMEOUT)
    assert not flow.outcomes[0].after_dot
    assert asyncio.get_running_loop().time() - started < 3


async def test_u29_a_window_that_a_server_does_not_read_is_doubt(network):
    messages = [ZERO, *(message(f"{n}@example.org", content=b"y\r\n" * 80_000) for n in range(4))]
    flow, _, _ = await bdats(
        f"{FIRST}@stall 0.9\n@close any", network, *messages, timeouts=QUICK, receive_buffer=4096
    )
    assert [blame(flow.results[one].outcomes[0])[:2] for one in messages[1:]] == [
        (Phase.CONTENT, Cause.TIMEOUT)
    ] * 4
    assert all(outcome.in_doubt for outcome in flow.outcomes[1:])


async def test_the_deadline_of_a_window_s_replies_begins_when_it_was_written(network):
    messages = [ZERO, *(message("r@example.org", content=b"y\r\n" * 80_000) for _ in range(16))]
    script = f"{FIRST}@stall 0.7\n" + f"{RSET}{MAIL}{rcpt('r')}{bdat(240_000)}" * 16
    script += f"{SYNC}@delay 0.7\n{said(*GOOD * 16, *HELLO)}{BYE}"
    flow, _, _ = await bdats(
        script,
        network,
        *messages,
        window=16,
        timeouts=Timeouts().at_most(1.0),
        limits=Limits(octets=1 << 23),
        receive_buffer=4096,
    )
    assert all(outcome.accepted for outcome in flow.outcomes)


async def test_what_was_put_off_is_returned_when_the_session_ends(network):
    messages = [ZERO, ONE, message("two@example.org", content=b"y\r\n" * 99), THREE]
    flow, _, _ = await bdats(f"{FIRST}{offered('one')}@drop", network, *messages, limits=Limits(octets=100))
    assert flow.results[ONE].outcomes[0].in_doubt
    assert flow.given_back == [messages[2]]
    assert list(flow.waiting) == [THREE]


async def test_what_was_put_off_goes_out_behind_data_where_the_session_gets_no_more_windows(network):
    """Without DATA the server would read its content as commands."""
    opening = opened("PIPELINING", "CHUNKING", "SIZE")
    commands = b"RSET\r\nMAIL FROM:<other@example.org>\r\nRCPT TO:<other@example.org>\r\n"
    alone = message("two@example.org", content=commands, alone=True)
    zero, one, two = [
        f"C: MAIL FROM:<sender@example.org> SIZE={size}\n{rcpt(name)}"
        for name, size in (("zero", 20), ("one", 20), ("two", len(commands)))
    ]
    script = f"{opening}{zero}{said(*GOOD[1:3])}{bdat()}{SYNC}{said('250 taken', *HELLO)}"
    script += f"{RSET}{one}{bdat()}{SYNC}{said('250 reset', '555 what', '503 no', '503 no', *HELLO)}"
    script += f"{RSET}{MAIL}{rcpt('one')}{said(*GOOD[:3])}{bdat()}{SYNC}{said('250 taken', '502 what')}"
    script += f"{RSET}{two}{DATA}{said(*GOOD[:3], '354 go on')}@content\n{OK}{BYE}"
    flow, reusable, server = await bdats(script, network, ZERO, ONE, alone)
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert [result.manner for result in flow.results.values()] == [Manner.BDAT, Manner.BDAT, Manner.DATA]
    assert (server.contents, reusable) == ([commands], True)


async def test_replies_that_come_while_a_window_is_written_are_read(network):
    """The server answers each command at once and reads slowly: neither side waits for the other."""
    messages = [message(f"{n}@example.org", content=b"y\r\n" * 80_000) for n in range(12)]
    wordy = dict.fromkeys(("rset", "mail", "rcpt"), lambda _: Answer("250-" + "x" * 4000 + "\r\n250 ok"))
    async with SinkServer(keywords=BOTH, hooks=wordy) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        session.window = 4
        flow = Queue(messages)
        await convey(session, flow, Manner.BDAT)
        await session.quit()
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert max(result.grouped for result in flow.results.values()) == 4


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\r", b"\r", b"\n"], ids=repr)
async def test_a_bare_line_ending_is_met_before_the_window_is_written(network, bad):
    wrong = Message(ONE.envelope, Lazy(0, last=bad))
    async with SinkServer(keywords=BOTH) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        session.window = 4
        flow = Queue([ZERO, wrong, TWO])
        await convey(session, flow, Manner.BDAT)
        assert session.reusable
        await session.quit()
    assert blame(flow.results[wrong].outcomes[0]) == (Phase.CONTENT, Cause.BARE_LINE_ENDING, None)
    assert not flow.results[wrong].outcomes[0].after_dot
    assert [taken.recipients for taken in sink.accepted] == [("zero@example.org",), ("two@example.org",)]
    assert sink.faults == []


@pytest.mark.parametrize("bad", [b"a\nb", b"a\r"], ids=repr)
async def test_a_bare_line_ending_in_a_later_block_ends_the_session_without_last(network, bad):
    flow, reusable, server = await bdats(f"{START}@close any", network, large(3, bad))
    assert blame(flow.outcomes[0]) == (Phase.CONTENT, Cause.BARE_LINE_ENDING, None)
    assert (flow.outcomes[0].after_dot, flow.stages, reusable) == (False, [], False)
    assert b"LAST" not in server.heard


# U34


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n",
        b"Subject: x\r\n\r\nno final newline",
        b"Subject: x\r\n",
        b"",
        b".",
        b"\r\n.\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 999 + b"\r\n",
        "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nné\r\n".encode(),
    ],
)
@pytest.mark.parametrize("eight_bit", [True, False])
async def test_u34_the_receiver_has_the_exact_bytes(network, content, eight_bit):
    messages = [*numbered(2), message(content=content), *numbered(2)]
    keywords = BOTH if eight_bit else ("PIPELINING", "CHUNKING")
    async with SinkServer(keywords=keywords) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        await convey(session, Queue(messages), Manner.BDAT)
        await session.quit()
    expected = await messages[2].body.fitted(eight_bit=eight_bit, smtputf8=eight_bit)
    assert sink.accepted[2].content == expected.content
    assert len(sink.accepted) == 5
    assert sink.faults == []


async def test_replies_lost_on_the_way_are_doubt_and_were_accepted(network):
    hooks = {"content": lambda moment: LOST if moment.transaction == 5 else None}
    async with SinkServer(keywords=BOTH, hooks=hooks) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue(numbered(12))
        await convey(session, flow, Manner.BDAT)
    assert [outcome.accepted for outcome in flow.outcomes] == [True] * 4 + [False] * 3
    assert [outcome.in_doubt for outcome in flow.outcomes] == [False] * 4 + [True] * 3
    assert len(flow.waiting) == 5
    assert len(sink.accepted) == 5


@pytest.mark.parametrize(
    ("phase", "transaction", "told"),
    [
        *[("mail", 1, 0), ("rcpt", 1, 0), ("content", 1, 0), ("ehlo", 1, 1)],  # the careful way
        *[("rset", 4, 4), ("mail", 5, 4), ("rcpt", 5, 4), ("content", 5, 4), ("ehlo", 3, 3)],
    ],
)
async def test_cancelled_at_any_wait_the_session_is_closed_and_what_was_answered_is_told(
    network, phase, transaction, told
):
    slow = {phase: lambda moment: Answer("250 late", delay=30) if moment.transaction == transaction else None}
    async with SinkServer(keywords=BOTH, hooks=slow) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        flow = Queue(numbered(12))
        task = asyncio.create_task(convey(session, flow, Manner.BDAT))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.reusable
    assert [outcome.accepted for outcome in flow.outcomes] == [True] * told
