"""The three manners: every message once and in order, in the grouping that the manner and the limits allow."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from scripted.client import PASSWORD, SHORT, envelope, hop_to
from scripted.sink import Answer, SinkServer
from smtp.kit import BOTH, QUICK, Lazy, Queue, blame, message, numbered, verbs
from smtp.swallow import swallowing
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.flow import Limits, Message
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

ALL = list(Manner)
LATER = Answer("451 4.3.0 later")


async def conveyed(network, messages, manner, *, limits=None, keywords=BOTH, flow=None, window=None, **sink):
    """The flow, the sink and the session, all closed."""
    flow = flow or Queue(messages)
    async with SinkServer(keywords=keywords, **sink) as server:
        hop = hop_to(server, Encryption(sink.get("encryption", "none")), password=sink.get("password", ""))
        session = await open_session(hop, network, SHORT)
        if window is not None:
            session.proven, session.window = True, window
        await convey(session, flow, manner, limits or Limits())
        assert session.in_flight == 0
        assert session.reusable
        await session.quit()
    assert server.faults == []
    return flow, server, session


@pytest.mark.parametrize("encryption", ["none", "starttls", "ssl"])
@pytest.mark.parametrize("manner", ALL)
async def test_messages_leave_in_order_and_once(network, manner, encryption):
    messages = numbered(40)
    flow, sink, session = await conveyed(
        network, messages, manner, encryption=encryption, login="app", password=PASSWORD
    )
    assert repr(session) == "<Session localhost CLOSED 40 transactions>"
    assert list(flow.results) == messages
    assert all(outcome.accepted and outcome.after_dot for outcome in flow.outcomes)
    assert [taken.content for taken in sink.accepted] == [one.body.content for one in messages]
    assert [taken.recipients for taken in sink.accepted] == [(f"r{n}@example.org",) for n in range(40)]
    assert {taken.manner for taken in sink.accepted} == {"BDAT" if manner is Manner.BDAT else "DATA"}
    assert {result.manner for result in flow.results.values()} == {manner}
    assert [result.first for result in flow.results.values()] == [True] + [False] * 39
    assert all(result.staged for result in flow.results.values())
    assert flow.given_back == []
    assert sink.sessions == 1


@pytest.mark.parametrize(
    ("wanted", "keywords", "effective"),
    [
        (Manner.BDAT, {"PIPELINING", "CHUNKING"}, Manner.BDAT),
        (Manner.BDAT, {"PIPELINING"}, Manner.DATA),
        (Manner.BDAT, {"CHUNKING"}, Manner.SINGLE),
        (Manner.BDAT, set(), Manner.SINGLE),
        (Manner.DATA, {"PIPELINING", "CHUNKING"}, Manner.DATA),
        (Manner.DATA, {"CHUNKING"}, Manner.SINGLE),
        (Manner.SINGLE, {"PIPELINING", "CHUNKING"}, Manner.SINGLE),
    ],
)
async def test_a_manner_is_used_only_where_it_is_announced(network, wanted, keywords, effective):
    assert Capabilities(keywords=frozenset(keywords)).manner(wanted) is effective
    flow, sink, _ = await conveyed(network, numbered(3), wanted, keywords=tuple(keywords))
    assert {result.manner for result in flow.results.values()} == {effective}
    assert ("B" in verbs(sink)) is (effective is Manner.BDAT)


async def test_single_writes_one_command_and_reads_its_reply(network):
    _, sink, _ = await conveyed(network, numbered(2), Manner.SINGLE)
    assert verbs(sink) == "EMRDMRDQ"


async def test_data_and_bdat_reset_before_each_transaction_but_the_first(network):
    _, sink, _ = await conveyed(network, numbered(3), Manner.DATA)
    assert verbs(sink) == "EMRDSMRDSMRDQ"
    _, sink, _ = await conveyed(network, numbered(3), Manner.BDAT)
    assert verbs(sink) == "EMRBESMRBSMRBEQ"


async def test_what_is_written_in_each_manner_is_in_the_transcript(network):
    content = "MAIL FROM:<sender@example.org> SIZE=20", "RCPT TO:<one@example.org>"
    for manner, end in (
        (Manner.SINGLE, ["DATA", "content, 20 bytes"]),
        (Manner.DATA, ["DATA", "content, 20 bytes"]),
        (Manner.BDAT, ["BDAT 20 LAST"]),
    ):
        flow, _, _ = await conveyed(network, [message(), message()], manner)
        first, second = (
            [step.sent for step in result.steps if step.sent != "RSET"] for result in flow.results.values()
        )
        assert first == second == [*content, *end]
        assert all(step.reply is not None for result in flow.results.values() for step in result.steps)


# The window


async def test_the_window_doubles_with_proven_success_up_to_its_limit(network):
    flow, _, session = await conveyed(network, numbered(60), Manner.BDAT)
    assert [result.grouped for result in flow.results.values()] == [1] + [2] * 2 + [4] * 4 + [8] * 8 + [
        16
    ] * 32 + [13] * 13
    assert [len(stage) for stage in flow.stages] == [1, 2, 4, 8, 16, 16, 13]
    assert session.window == 16
    flow, _, session = await conveyed(network, numbered(20), Manner.BDAT, limits=Limits(window=3))
    assert [len(stage) for stage in flow.stages] == [1, 2, 3, 3, 3, 3, 3, 2]


async def test_a_window_proves_only_what_was_in_it(network):
    _, _, session = await conveyed(network, numbered(2), Manner.BDAT, window=1)
    assert session.window == 2
    _, _, session = await conveyed(network, numbered(1), Manner.BDAT, window=4)
    assert session.window == 4


async def test_a_window_that_takes_long_does_not_grow(network):
    """A drain waits for what is in flight: sixteen replies of two seconds each would outlast it."""
    hooks = {"content": lambda moment: Answer("250 taken", delay=0.1)}
    limits = Limits(patience=0.35)
    flow, _, _ = await conveyed(network, numbered(9), Manner.BDAT, hooks=hooks, limits=limits)
    assert [len(stage) for stage in flow.stages] == [1, 2, 2, 2, 2]


async def test_a_window_that_takes_too_long_shrinks_to_what_would_have_been_answered_in_time(network):
    slow = Answer("250 taken", delay=0.2)
    hooks = {"content": lambda moment: slow if moment.transaction > 7 else None}
    limits = Limits(patience=0.5)  # eight take 1.6 s: two would have been in time
    flow, _, _ = await conveyed(network, numbered(19), Manner.BDAT, hooks=hooks, limits=limits)
    assert [len(stage) for stage in flow.stages][:5] == [1, 2, 4, 8, 2]


async def test_behind_one_that_took_too_long_the_content_waits_for_the_recipients(network):
    """So that a drain, which waits for one answer of twenty seconds, does not have to wait for four."""
    hooks = {
        "content": lambda moment: Answer("250 taken", delay=0.3) if moment.transaction == 2 else None,
        "rcpt": lambda moment: Answer("550 5.1.1 unknown") if moment.transaction in {3, 5} else None,
    }
    limits = Limits(window=1, patience=0.25)
    _, sink, _ = await conveyed(network, numbered(5), Manner.BDAT, hooks=hooks, limits=limits)
    words = [line.split()[0] for _, line in sink.commands]
    # The third's content never left; the fourth was taken in good time, and the fifth's went with its RCPT.
    assert words.count("RCPT") == 5
    assert words.count("BDAT") == 4
    assert words[words.index("RSET") :].count("EHLO") == 3


@pytest.mark.parametrize("phase", ["mail", "rcpt", "content"])
async def test_the_first_reply_that_is_not_positive_breaks_the_window_down_to_one(network, phase):
    hooks = {phase: lambda moment: LATER if moment.transaction == 10 else None}
    flow, _, _ = await conveyed(network, numbered(30), Manner.BDAT, hooks=hooks)
    assert [len(stage) for stage in flow.stages] == [1, 2, 4, 8, 1, 2, 4, 8]
    assert [outcome.accepted for outcome in flow.outcomes].count(False) == 1


async def test_a_message_that_is_alone_shares_no_window(network):
    messages = [*numbered(3), message("alone@example.org", alone=True), *numbered(3)]
    flow, _, _ = await conveyed(network, messages, Manner.BDAT, window=16)
    assert [len(stage) for stage in flow.stages] == [3, 1, 3]
    assert flow.results[messages[3]].grouped == 1


async def test_a_message_that_is_alone_has_no_rider(network):
    hooks = {"content": lambda moment: Answer("250 ok", delay=0.05)}
    for alone, ridden in ((False, "EMRDSMRDQ"), (True, "EMRDSMRDQ")):
        first = message(alone=alone)
        _, sink, _ = await conveyed(network, [first, message()], Manner.DATA, hooks=hooks)
        assert verbs(sink) == ridden
        position = bytes(sink.heard).index(b"\r\n.\r\n") + 5
        assert bytes(sink.heard)[position:].startswith(b"RSET")


async def test_the_octets_of_a_window_are_limited(network):
    limits = Limits(octets=100)
    flow, sink, _ = await conveyed(network, numbered(12), Manner.BDAT, window=16, limits=limits)
    size = len(sink.accepted[0].content)
    assert [len(stage) for stage in flow.stages] == [100 // size] * (12 // (100 // size))


async def test_the_commands_of_a_window_are_limited(network):
    messages = [message(*(f"{n}-{m}@example.org" for m in range(4))) for n in range(8)]
    limits = Limits(commands=21)
    flow, _, _ = await conveyed(network, messages, Manner.BDAT, window=16, limits=limits)
    assert [len(stage) for stage in flow.stages] == [3, 3, 2]


@pytest.mark.parametrize("manner", [Manner.DATA, Manner.BDAT])
async def test_more_recipients_than_a_group_takes_go_in_several(network, manner):
    names = [f"r{n}@example.org" for n in range(25)]
    hooks = {"rcpt": lambda moment: Answer("550 no") if moment.argument.startswith("r7@") else None}
    messages = [message(*names), message("last@example.org")]
    flow, sink, _ = await conveyed(network, messages, manner, hooks=hooks, limits=Limits(commands=10))
    assert [outcome.accepted for outcome in flow.outcomes] == [n != 7 for n in range(25)] + [True]
    assert sink.accepted[0].recipients == tuple(name for name in names if not name.startswith("r7@"))
    assert flow.stages[0] == [(messages[0], list(sink.accepted[0].recipients))]


@pytest.mark.parametrize("manner", ALL)
async def test_u28_a_tarpit_finishes_since_each_reply_has_its_own_deadline(network, manner):
    names = [f"r{n}@example.org" for n in range(60)]
    flow = Queue([message(*names)])
    async with SinkServer(keywords=BOTH, hooks={"rcpt": lambda _: Answer("250 ok", delay=0.01)}) as sink:
        session = await open_session(hop_to(sink), network, QUICK)
        await convey(session, flow, manner)
        await session.quit()
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert sum(step.elapsed for step in flow.results.popitem()[1].steps) > QUICK.rcpt


@pytest.mark.parametrize("manner", ALL)
async def test_a_thousand_recipients_deadlock_nobody(network, manner):
    names = [f"r{n}@example.org" for n in range(1000)]
    rcpt = {"rcpt": lambda _: Answer("250 " + "x" * 500)}
    flow, sink, _ = await conveyed(network, [message(*names)], manner, hooks=rcpt)
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert len(sink.accepted[0].recipients) == 1000


async def test_the_first_bdat_of_a_session_waits_for_its_recipients(network):
    """Nobody taken, no content: a server that reads content as commands would be given none."""
    hooks = {"rcpt": lambda moment: Answer("550 no") if moment.transaction < 3 else None}
    flow, sink, _ = await conveyed(network, numbered(4), Manner.BDAT, hooks=hooks)
    assert verbs(sink) == "EMRSMRSMRBESMRBEQ"
    assert [len(stage) for stage in flow.stages] == [1, 1]


async def test_a_session_that_rested_proves_itself_first(network):
    async with SinkServer(keywords=BOTH) as sink:
        session = await open_session(hop_to(sink), network, SHORT)
        session.proven, session.window = True, 4
        for rest, pause in ((0.05, 0.1), (5.0, 0.0)):
            await asyncio.sleep(pause)
            flow = Queue(numbered(4))
            await convey(session, flow, Manner.BDAT, Limits(rest=rest))
            assert [len(stage) for stage in flow.stages] == ([1, 3] if pause else [4])
        await session.quit()


# Stage


@pytest.mark.parametrize("manner", ALL)
async def test_a_message_that_may_not_be_finished_is_not_and_the_others_are(network, manner):
    messages = numbered(6)
    flow = Queue(messages, may=lambda one: one is not messages[2])
    async with SinkServer(keywords=BOTH) as sink:
        while flow.waiting or flow.given_back:
            flow.waiting.extendleft(reversed(flow.given_back))
            flow.given_back.clear()
            session = await open_session(hop_to(sink), network, SHORT)
            session.proven, session.window = True, 4
            await convey(session, flow, manner)
            await session.quit()
    outcome = flow.results[messages[2]].outcomes[0]
    assert blame(outcome) == (Phase.CONTENT, Cause.STALE, None)
    assert (outcome.after_dot, flow.results[messages[2]].staged) == (False, False)
    assert [taken.content for taken in sink.accepted] == [
        one.body.content for one in messages if one is not messages[2]
    ]
    assert len(flow.results) == 6
    assert sink.sessions == (1 if manner is Manner.BDAT else 2)  # behind 354 only closing is left
    assert sink.faults == []


# Large content


@pytest.mark.parametrize("encryption", ["none", "starttls"])
@pytest.mark.parametrize("manner", ALL)
async def test_a_body_beyond_one_block_streams(network, manner, encryption):
    content = b"Subject: x\r\n\r\n" + b".\r\n" * 5 + (b"." * 77 + b"\r\n") * 10_000 + b"no end"
    large = message("large@example.org", content=content)
    messages = [*numbered(3), large, *numbered(3)]
    flow, sink, _ = await conveyed(network, messages, manner, window=16, encryption=encryption)
    assert all(outcome.accepted for outcome in flow.outcomes)
    end = b"" if manner is Manner.BDAT else b"\r\n"
    assert sink.accepted[3].content == content + end
    assert flow.results[large].grouped == 1
    if manner is Manner.BDAT:
        assert [len(stage) for stage in flow.stages] == [3, 1, 3]
        assert [line for _, line in sink.commands if line.startswith("BDAT")][3:-3] == ["BDAT 262144"] * 3 + [
            f"BDAT {len(content) - 3 * 262144} LAST"
        ]


@pytest.mark.parametrize("size", [262_144, 49_152])
@pytest.mark.parametrize("manner", ALL)
async def test_25_mib_are_never_held(network, manner, size):
    body = Lazy(26_214_400 // size, b"z" * (size - 2) + b"\r\n", last=b"\r\n")
    flow = Queue([Message(envelope(), body)])
    async with swallowing() as swallow:
        session = await open_session(hop_to(swallow), network, SHORT)
        tracemalloc.start()
        await convey(session, flow, manner)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await session.quit()
    assert flow.outcomes[0].accepted
    assert body.given == body.size == swallow.octets
    assert body.size > 26_000_000
    assert most < 4_000_000


@pytest.mark.parametrize(
    "block", [b"a\r\n", b".\r\n", b"\r\n", b"\r", b"\n", b".", b"a\r\n.", b".\r", b"\n."], ids=repr
)
@pytest.mark.parametrize("manner", ALL)
async def test_lines_and_dots_may_span_blocks(network, manner, block):
    other = {b"\r": b"\n", b"\n": b"\r", b".\r": b"\n", b"\n.": b"\r"}.get(block, b"x\r\n")
    first, second = (other, block) if block.startswith(b"\n") else (block, other)

    class Pieces(Lazy):
        async def blocks(self):
            for piece in (b"Subject: x\r\n\r\n", first, second, b"z\r\n"):
                yield piece

    body = Pieces(0)
    content = b"".join([piece async for piece in body.blocks()])
    body.size = len(content)
    _, sink, _ = await conveyed(network, [Message(envelope(), body)], manner, window=4)
    assert sink.accepted[0].content == content
