"""Whatever one command does to a group or a window: the other messages arrive once, and no outcome lies.

"In a window" means: what the server accepted is accepted or in doubt here, what is refused here was never
accepted, and when what was returned or deferred goes out again, nothing else is lost or doubled.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripted.client import hop_to, loopback_network
from scripted.sink import Answer, SinkServer
from smtp.kit import BOTH, KEYWORDS, Queue, numbered
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp.flow import Limits
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import SessionFailed
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.smtp.window import convey

QUICK = Timeouts().at_most(0.2)
COUNT = 9
WAYS = {
    "4yz": Answer("451 4.3.0 later"),
    "5yz": Answer("550 5.0.0 no"),
    "503": Answer("503 5.5.1 what"),
    "3yz": Answer("354 go"),
    "421": Answer("421 4.3.2 closing", then="drop"),
    "421 and on": Answer("421 4.3.2 closing"),
    "drop": Answer(then="drop"),
    "rst": Answer(then="rst"),
    "garbage": Answer("rubbish"),
    "late": Answer("250 2.0.0 late", delay=0.02),
    "too late": Answer("250 2.0.0 too late", delay=0.5),
    "multiline": Answer("250-2.0.0 on\r\n250 2.0.0 and off"),
    "twice": Answer("250 2.0.0 ok\r\n250 2.0.0 and more"),
    "no, and yes": Answer("451 4.3.0 later\r\n250 2.0.0 and more"),
    "thrice": Answer("250 2.0.0 ok\r\n250 2.0.0 and more\r\n250 2.0.0 and more"),
    "taken and lost": Answer(then="drop", accepted=True),
    "taken and garbled": Answer("rubbish", accepted=True),
    "taken and gone": Answer("250 2.0.0 ok", then="rst"),
}
PHASES = ("rset", "mail", "rcpt", "data", "bdat", "content")
DEFINITE = {Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT}


def refused(outcome) -> bool:
    """Whether the mail itself was turned down for good."""
    trouble = outcome.trouble
    definite = trouble.cause is Cause.REPLY and trouble.reply.permanent and trouble.reply.code != 503
    return definite and trouble.phase in DEFINITE


async def delivered(messages, manner, hooks, *, timeouts=QUICK, sessions=30):
    """Every message's last result, and the sink; what was returned or deferred goes out again."""
    last, flow = {}, Queue(messages)
    async with SinkServer(hooks=hooks, keywords=KEYWORDS[manner]) as sink:
        for _ in range(sessions):
            if not flow.waiting:
                break
            try:
                session = await open_session(hop_to(sink), loopback_network(), timeouts)
            except SessionFailed:
                continue
            session.window = 4
            await convey(session, flow, manner, Limits())
            assert session.in_flight == 0
            await session.quit()
            flow = sorted_out(flow, last)
    return last, flow, sink


def sorted_out(flow, last):
    """The flow of what goes out again; whatever was decided is noted in `last`."""
    again = list(flow.given_back)
    for message, result in flow.results.items():
        (outcome,) = result.outcomes
        if outcome.accepted or outcome.in_doubt or refused(outcome):
            last[message] = outcome
        else:
            again.append(message)
    return Queue([*again, *flow.waiting])


def judged(last, sink):
    """Asserts that no outcome lies; the counts of acceptance by content."""
    taken = Counter(one.content for one in sink.accepted)
    for message, outcome in last.items():
        times = taken[message.body.content]
        if outcome.accepted:
            assert times == 1
        elif outcome.in_doubt:
            assert times <= 1
        else:
            assert times == 0
    return taken


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(list(Manner)),
    st.sampled_from(PHASES),
    st.sampled_from(sorted(WAYS)),
    st.integers(1, COUNT),
)
@example(Manner.BDAT, "rset", "5yz", 3)
@example(Manner.BDAT, "rset", "3yz", 3)
@example(Manner.BDAT, "mail", "4yz", 3)
@example(Manner.BDAT, "bdat", "503", 3)
@example(Manner.BDAT, "bdat", "5yz", 1)
@example(Manner.BDAT, "content", "taken and lost", 4)
@example(Manner.BDAT, "rcpt", "421 and on", 3)
@example(Manner.DATA, "data", "4yz", 2)
@example(Manner.DATA, "rset", "5yz", 2)
@example(Manner.DATA, "content", "taken and garbled", 2)
def test_u35_a_window_in_which_one_command_fails_delivers_exactly_the_others(manner, phase, way, place):
    fired = []

    def once(moment):
        counted = moment.transaction + (phase in {"rset", "mail"} and not fired and phase == "rset")
        if fired or counted != place:
            return None
        fired.append(moment)
        return WAYS[way]

    messages = numbered(COUNT)
    last, flow, sink = asyncio.run(delivered(messages, manner, {phase: once}))
    assert not flow.waiting
    assert set(last) == set(messages)
    taken = judged(last, sink)
    harmed = [message for message, outcome in last.items() if not outcome.accepted]
    doubted = [message for message in harmed if last[message].in_doubt]
    assert len(harmed) - len(doubted) <= 1  # at most the one that was turned down itself
    if manner is not Manner.BDAT:
        assert len(harmed) <= 1
    for message in set(messages) - set(harmed):
        assert taken[message.body.content] == 1
    assert sink.faults == []


# A server that says more than it was asked *and* leaves before the end cannot be told from one that answered.
ALONE = {"twice", "thrice", "no, and yes"}
FAULTS = st.lists(st.one_of(st.none(), st.none(), st.sampled_from(sorted(WAYS.keys() - ALONE))), max_size=80)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(Manner)), FAULTS)
@example(Manner.BDAT, [*[None] * 13, "twice", None, "4yz"])  # RCPT answered twice, its content refused
@example(Manner.BDAT, [*[None] * 13, "thrice", None, "5yz"])
@example(Manner.BDAT, [*[None] * 14, "twice"])
def test_u35_whatever_many_commands_do_no_outcome_lies(manner, faults):
    left = iter(faults)

    def next_one(_):
        way = next(left, None)
        return None if way is None else WAYS[way]

    messages = numbered(COUNT)
    hooks = dict.fromkeys(("greeting", "ehlo", *PHASES), next_one)
    last, flow, sink = asyncio.run(delivered(messages, manner, hooks, timeouts=Timeouts().at_most(0.1)))
    assert set(last) | set(flow.waiting) == set(messages)
    judged(last, sink)
    known = {one.content for one in sink.accepted}
    assert known <= {message.body.content for message in last}  # what it took is never among what waits


# What is announced and not done


def test_a_server_that_reads_chunks_as_commands_gets_no_message_twice():
    """CHUNKING announced and BDAT unknown: the content's lines are answered one by one."""

    def unknown(_):
        return Answer("500 5.5.1 what", reads=False)

    async def run():
        async with SinkServer(hooks={"bdat": unknown}, keywords=BOTH) as sink:
            session = await open_session(hop_to(sink), loopback_network(), QUICK)
            flow = Queue(numbered(3))
            await convey(session, flow, Manner.BDAT)
            assert not session.reusable
            (outcome,) = flow.outcomes
            assert outcome.trouble.cause is Cause.BDAT_REFUSED
            assert len(flow.waiting) == 2
            session = await open_session(hop_to(sink), loopback_network(), QUICK)
            await convey(session, Queue(numbered(3)), Manner.DATA)
            await session.quit()
        return sink

    sink = asyncio.run(run())
    assert [taken.manner for taken in sink.accepted] == ["DATA"] * 3
