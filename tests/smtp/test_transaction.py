"""U24-U34 of the faults at the level of a transaction: each recipient's outcome, and what becomes of the session."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from scripted.client import PASSWORD, SHORT, envelope, hop_to, staged
from scripted.server import ScriptedServer
from scripted.sink import LOST, Answer, SinkServer
from smtp.one import StageRefused, transact
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.timeouts import Timeouts

QUICK = Timeouts().at_most(0.3)
CONTENT = b"Subject: x\r\n\r\nbody\r\n"
OPENED = "S: 220 mx\nC: EHLO client.example.org\nS: 250 mx\n"
MAIL = "C: MAIL FROM:<sender@example.org>\n"
ONE = "C: RCPT TO:<one@example.org>\n"
TWO = "C: RCPT TO:<two@example.org>\n"
DATA = "C: DATA\n"
RESET = "C: RSET\nS: 250 ok\n"
BYE = "C: QUIT\nS: 221 bye\n@close"
TO_DATA = f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 250 ok\n{DATA}"
TO_CONTENT = f"{TO_DATA}S: 354 go\n"
TO_DOT = f"{TO_CONTENT}@content\n"


async def played(script, network, *recipients, content=CONTENT, stage=staged, timeouts=SHORT, **server):
    """The result of one transaction with a scripted server, and whether its session may be used again."""
    async with ScriptedServer(script, **server) as scripted:
        session = await open_session(hop_to(scripted), network, timeouts)
        result = await transact(session, envelope(*recipients), content, stage)
        reusable = session.reusable
        await session.quit()
    return result, reusable, scripted


async def only(script, network, **fields):
    """The one outcome, and whether the session may be used again."""
    result, reusable, _ = await played(script, network, **fields)
    (outcome,) = result.outcomes
    return outcome, reusable


def blame(outcome):
    trouble = outcome.trouble
    assert trouble is not None
    return trouble.phase, trouble.cause, None if trouble.reply is None else trouble.reply.code


# U24


@pytest.mark.parametrize("code", [450, 550, 530, 552])
async def test_u24_mail_is_refused_and_the_session_stays(network, code):
    outcome, reusable = await only(f"{OPENED}{MAIL}S: {code} no\n{RESET}{BYE}", network)
    assert blame(outcome) == (Phase.MAIL, Cause.REPLY, code)
    assert (outcome.after_dot, outcome.in_doubt, reusable) == (False, False, True)


async def test_u24_555_is_tried_again_without_parameters(network):
    script = "S: 220 mx\nC: EHLO client.example.org\nS- 250-mx\\r\\n250-8BITMIME\\r\\n250 SIZE\\r\\n\n"
    script += f"C: MAIL FROM:<sender@example.org> SIZE=19 BODY=8BITMIME\nS: 555 what\n{MAIL}S: 250 ok\n"
    script += f"{ONE}S: 250 ok\n{DATA}S: 354 go\n@content\nS: 250 taken\n{BYE}"
    result, _, scripted = await played(script, network, content="Subject: x\r\n\r\nné\r\n".encode())
    assert result.outcomes[0].accepted
    (content,) = scripted.contents
    assert content.isascii()
    assert b"n=C3=A9" in content


# U25


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"{OPENED}{MAIL}S: 421 closing\n@close", (Phase.MAIL, Cause.REPLY, 421)),
        (f"{OPENED}{MAIL}@drop", (Phase.MAIL, Cause.LOST, None)),
        (f"{OPENED}{MAIL}S: 354 what\n@close", (Phase.MAIL, Cause.REPLY, 354)),
        (f"{OPENED}{MAIL}S: rubbish\n@close", (Phase.MAIL, Cause.MALFORMED, None)),
        (f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 421 closing\n@close", (Phase.RCPT, Cause.REPLY, 421)),
        (f"{OPENED}{MAIL}S: 250 ok\n{ONE}@rst", (Phase.RCPT, Cause.LOST, None)),
        (f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 354 what\n@close", (Phase.RCPT, Cause.REPLY, 354)),
        (f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 503 what\n@close", (Phase.RCPT, Cause.REPLY, 503)),
        (f"{TO_DATA}S: 421 closing\n@close", (Phase.DATA, Cause.REPLY, 421)),
        (f"{TO_DATA}@drop", (Phase.DATA, Cause.LOST, None)),
        (f"{TO_DATA}S: 250 what\n@close", (Phase.DATA, Cause.REPLY, 250)),
        (f"{TO_DATA}S: 333 what\n@close", (Phase.DATA, Cause.REPLY, 333)),
        (f"{OPENED}{MAIL}S- 250 ok\\r\\n250 again\\r\\n\n@close", (Phase.RCPT, Cause.UNDUE, None)),
        (f"{OPENED}{MAIL}S- 250 ok\\r\\n550 again\\r\\n\n@close", (Phase.RCPT, Cause.UNDUE, None)),
        (f"{OPENED}{MAIL}S- 250 ok\\r\\n421 bye\\r\\n\n@close", (Phase.RCPT, Cause.REPLY, 421)),
        (f"{OPENED}{MAIL}S- 250 ok\\r\\n250\n@close", (Phase.RCPT, Cause.UNDUE, None)),
    ],
)
async def test_u25_out_of_order_before_the_content(network, script, expected):
    outcome, reusable = await only(script, network)
    assert blame(outcome) == expected
    assert (outcome.after_dot, reusable) == (False, False)


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
async def test_u25_silence_ends_with_the_phase_s_deadline(network, phase):
    scripts = {"mail": f"{OPENED}{MAIL}", "rcpt": f"{OPENED}{MAIL}S: 250 ok\n{ONE}", "data": TO_DATA}
    outcome, reusable = await only(f"{scripts[phase]}@silence", network, timeouts=QUICK)
    assert blame(outcome) == (Phase(phase), Cause.TIMEOUT, None)
    assert not reusable


async def test_u25_data_is_refused_and_the_session_stays(network):
    outcome, reusable = await only(f"{TO_DATA}S: 451 later\n{RESET}{BYE}", network)
    assert blame(outcome) == (Phase.DATA, Cause.REPLY, 451)
    assert reusable


# U26


async def test_u26_recipients_are_judged_one_by_one(network):
    replies = {
        "a": "250 ok",
        "b": "550 5.1.1 unknown",
        "c": "251 will forward",
        "d": "452 4.5.3 too many",
        "e": "252 ok",
    }
    hooks = {"rcpt": lambda moment: Answer(replies[moment.argument[0]])}
    async with SinkServer(hooks=hooks) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        names = [f"{letter}@example.org" for letter in replies]
        result = await transact(session, envelope(*names), CONTENT, staged)
        assert session.reusable
        await session.quit()
    assert [outcome.accepted for outcome in result.outcomes] == [True, False, True, False, True]
    assert [outcome.accepted_before for outcome in result.outcomes] == [0, 1, 1, 2, 2]
    assert [outcome.reply.code for outcome in result.outcomes] == [250, 550, 250, 452, 250]
    assert [taken.recipients for taken in sink.accepted] == [tuple(f"{n}@example.org" for n in "ace")]


async def test_u26_nobody_accepted_means_no_data(network):
    script = f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 550 no\n{TWO}S: 451 later\n{RESET}{BYE}"
    result, reusable, _ = await played(script, network, "one@example.org", "two@example.org")
    assert [blame(outcome) for outcome in result.outcomes] == [
        (Phase.RCPT, Cause.REPLY, 550),
        (Phase.RCPT, Cause.REPLY, 451),
    ]
    assert (result.staged, reusable) == (False, True)


async def test_u26_421_at_the_second_recipient_is_everybody_s(network):
    script = f"{OPENED}{MAIL}S: 250 ok\n{ONE}S: 250 ok\n{TWO}S: 421 closing\n@close"
    result, reusable, _ = await played(script, network, "one@example.org", "two@example.org")
    assert [blame(outcome) for outcome in result.outcomes] == [(Phase.RCPT, Cause.REPLY, 421)] * 2
    assert not reusable


# U28


async def test_u28_a_tarpit_finishes(network):
    hooks = {"rcpt": lambda _: Answer("250 ok", delay=0.01)}
    async with SinkServer(hooks=hooks) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        names = [f"r{number}@example.org" for number in range(100)]
        result = await transact(session, envelope(*names), CONTENT, staged)
        await session.quit()
    assert all(outcome.accepted for outcome in result.outcomes)


# U29: in the content, before its end

LARGE = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" + (b"z" * 76 + b"\r\n") * 100_000


@pytest.mark.parametrize("read", [100, 1_000_000, 3_000_000])
@pytest.mark.parametrize("end", ["@drop", "@rst"])
async def test_u29_lost_within_the_content(network, read, end):
    outcome, reusable = await only(
        f"{TO_CONTENT}@read {read}\n{end}", network, content=LARGE, receive_buffer=65_536
    )
    assert blame(outcome)[:2] == (Phase.CONTENT, Cause.LOST)
    assert (outcome.after_dot, outcome.in_doubt, reusable) == (False, False, False)


async def test_u29_lost_right_after_the_354(network):
    staged_calls = []

    async def stage(_):
        staged_calls.append(1)
        await asyncio.sleep(0.1)

    result, _, _ = await played(f"{TO_CONTENT}@read 19\n@drop", network, stage=stage)
    assert blame(result.outcomes[0]) == (Phase.CONTENT, Cause.LOST, None)
    assert not result.outcomes[0].after_dot
    assert (result.staged, len(staged_calls)) == (True, 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("550 5.7.1 enough", (Phase.CONTENT, Cause.REPLY, 550)),
        ("452 4.3.1 full", (Phase.CONTENT, Cause.REPLY, 452)),
        ("421 closing", (Phase.CONTENT, Cause.REPLY, 421)),
        ("250 what", (Phase.CONTENT, Cause.UNDUE, None)),
        ("rubbish", (Phase.CONTENT, Cause.UNDUE, None)),
    ],
)
async def test_u29_a_reply_within_the_content(network, said, expected):
    script = f"{TO_CONTENT}@read 1000\nS: {said}\n@close any"
    result, reusable, _ = await played(script, network, content=LARGE, receive_buffer=65_536)
    assert blame(result.outcomes[0]) == expected
    assert (result.outcomes[0].after_dot, result.staged, reusable) == (False, False, False)


async def test_u29_a_server_that_reads_no_more_ends_with_the_block_s_deadline(network):
    script = f"{TO_CONTENT}@stall 0.6\n@close any"
    content = LARGE * 3  # more than the system buffers
    outcome, _ = await only(script, network, content=content, receive_buffer=4096, timeouts=QUICK)
    assert blame(outcome) == (Phase.CONTENT, Cause.TIMEOUT, None)
    assert not outcome.after_dot


# The stage


async def test_the_stage_is_awaited_when_only_the_dot_is_missing(network):
    script = f"{TO_CONTENT}C: Subject: x\nC: \nC: body\n@quiet 0.2\nC: .\nS: 250 taken\n{BYE}"

    async def stage(_):
        await asyncio.sleep(0.3)

    outcome, reusable = await only(script, network, stage=stage)
    assert (outcome.accepted, outcome.after_dot, reusable) == (True, True, True)


async def test_a_refused_stage_closes_without_the_dot(network):
    async def stage(_):
        raise StageRefused

    result, reusable, scripted = await played(f"{TO_CONTENT}@read 20\n@close", network, stage=stage)
    assert blame(result.outcomes[0]) == (Phase.CONTENT, Cause.STALE, None)
    assert (result.outcomes[0].after_dot, result.staged, reusable) == (False, False, False)
    assert not scripted.heard.endswith(b".\r\n")


async def test_a_stage_that_fails_closes_without_the_dot_and_raises(network):
    async def stage(_):
        raise OSError("the disk is full")

    async with ScriptedServer(f"{TO_CONTENT}@read 20\n@close") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        with pytest.raises(OSError, match="disk"):
            await transact(session, envelope(), CONTENT, stage)
        assert not session.reusable


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "content", "rset"])
async def test_cancelled_at_any_wait_the_session_is_closed(network, phase):
    hooks = {phase: lambda _: Answer("250 late", delay=30)}
    if phase == "rset":
        hooks["mail"] = lambda _: Answer("550 no")
    async with SinkServer(hooks=hooks) as sink:
        session = await open_session(hop_to(sink), network, Timeouts())
        task = asyncio.create_task(transact(session, envelope(), CONTENT, staged))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.reusable
        assert repr(session) == "<Session localhost CLOSED 1 transactions>"


# U30-U32: behind the end of data


@pytest.mark.parametrize(("code", "reusable"), [(451, True), (421, False), (554, True), (503, False)])
async def test_u30_a_definite_no_is_no_doubt(network, code, reusable):
    rest = f"{RESET}{BYE}" if reusable else "@close"
    outcome, again = await only(f"{TO_DOT}S: {code} no\n{rest}", network)
    assert blame(outcome) == (Phase.CONTENT, Cause.REPLY, code)
    assert (outcome.after_dot, outcome.in_doubt, again) == (True, False, reusable)


@pytest.mark.parametrize(
    ("rest", "cause"),
    [
        ("@drop", Cause.LOST),
        ("@rst", Cause.LOST),
        ("@silence", Cause.TIMEOUT),
        ("S: 354 go on\n@close", Cause.REPLY),
        ("S: 250ok\n@close", Cause.MALFORMED),
        ("S- 250 ok\n@drop", Cause.LOST),
        ("@endless 250-more", Cause.MALFORMED),
        ("S: 999 what\n@close", Cause.MALFORMED),
        ("S- 250-taken\\r\\n\n@drop", Cause.LOST),
        ("@drip 0.05\nS: 250 taken at last\n@close", Cause.TIMEOUT),
    ],
)
async def test_u31_anything_else_is_doubt(network, rest, cause):
    outcome, reusable = await only(f"{TO_DOT}{rest}", network, timeouts=QUICK)
    assert blame(outcome)[:2] == (Phase.CONTENT, cause)
    assert (outcome.after_dot, outcome.in_doubt, reusable) == (True, True, False)


@pytest.mark.parametrize(
    "rest",
    [
        "@delay 0.5\nS: 250 late\n@close any",
        "S- 250 nul\\0 latin\\xe9\\r\\n\n@close any",
        "S: 250 " + "x" * 8192 + "\n@close any",
        "S- 250 taken\\r\\n550 no\\r\\n\n@close any",
        "S- 250 taken\\r\\nrubbish\\r\\n\n@close any",
        "S: 250 taken\n@rst",
        "S: 250 taken\n@drop",
        "S: 250 taken\nC: QUIT\n@silence",
        "S: 250 taken\nC: QUIT\nS: 421 no\n@close",
        "S- 250-taken\\r\\n250 really\\r\\n\n@close any",
    ],
)
async def test_u32_a_valid_250_is_accepted_whatever_follows(network, rest):
    outcome, _ = await only(f"{TO_DOT}{rest}", network)
    assert outcome.accepted
    assert outcome.reply is not None
    assert outcome.reply.code == 250
    assert not outcome.in_doubt


async def test_a_session_with_more_than_it_asked_for_is_not_used_again(network):
    outcome, reusable = await only(f"{TO_DOT}S- 250 taken\\r\\n250 again\\r\\n\n@close any", network)
    assert (outcome.accepted, reusable) == (True, False)


# U33


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("@drop", (Phase.MAIL, Cause.LOST, None)),
        ("S: 421 idle too long\n@close", (Phase.MAIL, Cause.REPLY, 421)),
        (f"{MAIL}S: 421 max messages\n@close", (Phase.MAIL, Cause.REPLY, 421)),
    ],
)
async def test_u33_a_session_that_ended_while_idle(network, rest, expected):
    async with ScriptedServer(f"{TO_DOT}S: 250 taken\n@delay 0.05\n{rest}") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        assert (await transact(session, envelope(), CONTENT, staged)).outcomes[0].accepted
        await asyncio.sleep(0.15)
        assert session.reusable is (expected[2] == 421 and MAIL in rest)
        result = await transact(session, envelope(), CONTENT, staged)
        assert blame(result.outcomes[0]) == expected
        assert not session.reusable


async def test_u33_a_refused_rset_ends_the_session_and_changes_no_outcome(network):
    outcome, reusable = await only(f"{TO_DOT}S: 554 no\nC: RSET\nS: 500 what\n@close any", network)
    assert blame(outcome) == (Phase.CONTENT, Cause.REPLY, 554)
    assert not reusable


# U34


async def received(network, content, *recipients, keywords=(), sender="sender@example.org"):
    async with SinkServer(keywords=keywords) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        result = await transact(session, envelope(*recipients, sender=sender), content, staged)
        await session.quit()
    assert sink.faults == []
    return result, sink


@pytest.mark.parametrize(
    ("content", "at_receiver"),
    [
        (b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n", b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n"),
        (b"Subject: x\r\n\r\nno final newline", b"Subject: x\r\n\r\nno final newline\r\n"),
        (b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\n"),
        (b"Subject: x\r\n", b"Subject: x\r\n"),
        (b"", b""),
        (b".", b".\r\n"),
        (b"\r\n.", b"\r\n.\r\n"),
        (b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n", b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n"),
    ],
)
async def test_u34_the_receiver_has_the_exact_bytes(network, content, at_receiver):
    _, sink = await received(network, content)
    assert [taken.content for taken in sink.accepted] == [at_receiver]


async def test_u34_large_content_arrives_whole(network):
    _, sink = await received(network, LARGE)
    assert sink.accepted[0].content == LARGE


@pytest.mark.parametrize("offered", [True, False])
async def test_u34_eight_bit_content(network, offered):
    content = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nné\r\n".encode()
    _, sink = await received(network, content, keywords=("8BITMIME",) if offered else ())
    (taken,) = sink.accepted
    assert taken.content.isascii() is not offered
    assert taken.parameters == (("BODY=8BITMIME",) if offered else ())


async def test_u34_smtputf8_is_needed_and_not_offered(network):
    result, sink = await received(network, CONTENT, "zoé@example.org", "ok@example.org")
    assert [outcome.accepted for outcome in result.outcomes] == [False, True]
    assert blame(result.outcomes[0]) == (Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED, None)
    assert sink.accepted[0].recipients == ("ok@example.org",)
    result, sink = await received(network, CONTENT, sender="zoé@example.org")
    assert blame(result.outcomes[0]) == (Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED, None)
    assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "QUIT"]


async def test_u34_smtputf8_is_used_where_it_is_offered_and_needed(network):
    keywords = ("SMTPUTF8", "8BITMIME")
    _, sink = await received(network, CONTENT, "zoé@example.org", keywords=keywords)
    assert (sink.accepted[0].recipients, sink.accepted[0].parameters) == (("zoé@example.org",), ("SMTPUTF8",))
    _, sink = await received(network, CONTENT, "a@café.example", keywords=keywords)
    assert (sink.accepted[0].recipients, sink.accepted[0].parameters) == (("a@xn--caf-dma.example",), ())


async def test_u15_a_message_over_the_announced_size_is_not_begun(network):
    result, sink = await received(network, CONTENT, keywords=("SIZE 10",))
    assert blame(result.outcomes[0]) == (Phase.MAIL, Cause.TOO_LARGE, None)
    assert result.outcomes[0].trouble.facts["size"] == str(len(CONTENT))
    assert result.outcomes[0].trouble.facts["limit"] == "10"
    assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "QUIT"]


async def test_a_null_reverse_path_stays_null(network):
    _, sink = await received(network, CONTENT, sender=None)
    assert sink.accepted[0].mail == ""


async def test_a_bare_line_ending_is_refused_before_anything_is_written(network):
    async with ScriptedServer(f"{OPENED}{BYE}") as scripted:
        session = await open_session(hop_to(scripted), network, SHORT)
        with pytest.raises(ValueError, match="bare"):
            await transact(session, envelope(), b"Subject: x\n\nbody", staged)
        assert session.reusable
        await session.quit()


# The walk: each step may go wrong in each way, on each encryption

WAYS = {
    "4yz": Answer("451 4.3.0 later"),
    "5yz": Answer("550 5.0.0 no"),
    "421": Answer("421 4.3.2 closing", then="drop"),
    "drop": Answer(then="drop"),
    "rst": Answer(then="rst"),
    "garbage": Answer("rubbish"),
    "wrong": Answer("399 what"),
}


@pytest.mark.parametrize(("phase", "way"), list(itertools.product(["mail", "rcpt", "data", "content"], WAYS)))
async def test_whatever_happens_the_outcome_agrees_with_the_server(network, phase, way):
    """Accepted is accepted there, refused is not; the session after it delivers, or says that it must not."""
    hooks = {phase: lambda moment: WAYS[way] if moment.transaction == 1 else None}
    async with SinkServer(hooks=hooks, encryption="starttls", login="app", password=PASSWORD) as sink:
        hop = hop_to(sink, Encryption.STARTTLS, password=PASSWORD)
        session = await open_session(hop, network, QUICK)
        (outcome,) = (await transact(session, envelope("one@example.org"), CONTENT, staged)).outcomes
        assert not outcome.accepted
        assert outcome.after_dot is (phase == "content")
        assert outcome.in_doubt is (phase == "content" and way in {"drop", "rst", "garbage", "wrong"})
        assert session.reusable is (way in {"4yz", "5yz"})
        if session.reusable:
            (outcome,) = (await transact(session, envelope("two@example.org"), CONTENT, staged)).outcomes
            assert outcome.accepted
        await session.quit()
    assert [taken.recipients for taken in sink.accepted] == (
        [("two@example.org",)] if way in {"4yz", "5yz"} else []
    )


async def test_a_reply_lost_on_the_way_is_doubt_and_was_accepted(network):
    async with SinkServer(hooks={"content": lambda _: LOST}) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        result = await transact(session, envelope("a@example.org", "b@example.org"), CONTENT, staged)
        await session.quit()
    assert [outcome.in_doubt for outcome in result.outcomes] == [True, True]
    assert len(sink.accepted) == 1


async def test_a_transcript_has_the_opening_and_the_last_transaction(network):
    async with SinkServer() as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        for _ in range(3):
            result = await transact(session, envelope(), CONTENT, staged)
        await session.quit()
    assert [step.sent for step in result.steps] == [
        "MAIL FROM:<sender@example.org> SIZE=20",
        "RCPT TO:<one@example.org>",
        "DATA",
        "content, 20 bytes",
    ]
    assert [step.phase.value for step in session.transcript] == [
        "resolve", "connect", "greeting", "ehlo", "mail", "rcpt", "data", "content", "quit",
    ]  # fmt: skip
