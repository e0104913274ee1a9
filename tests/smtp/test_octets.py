"""Whatever the values and however replies are cut: exactly the intended octets leave, and what comes means the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripted.client import SHORT, hop_to, loopback_network
from scripted.sink import Answer, SinkServer
from smtp.kit import BOTH, Lazy, Queue, bare, blame, message, numbered
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import text_field
from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.flow import Message
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

MANNER = st.sampled_from(list(Manner))
CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


async def conveyed(messages, manner):
    """The flow and the sink, after one session."""
    flow = Queue(messages)
    async with SinkServer(keywords=BOTH) as sink:
        session = await open_session(hop_to(sink), loopback_network(), SHORT)
        session.proven, session.window = True, 4
        await convey(session, flow, manner)
        await session.quit()
    return flow, sink


# Replies in any splitting


@contextlib.asynccontextmanager
async def cutting(sizes):
    """A proxy to `target.port` that hands on what the server says in pieces of these sizes, in turn."""
    turns, tasks, writers = itertools.cycle(sizes), [], []

    class Target:
        port = 0

    async def hand_on(reader, writer, size):
        while data := await reader.read(size()):
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)

    async def accept(reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", Target.port)
        writers.extend((writer, back))
        tasks.append(asyncio.create_task(hand_on(reader, back, lambda: 65_536)))
        tasks.append(asyncio.create_task(hand_on(there, writer, lambda: next(turns))))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], Target
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


REPLIES = [
    "250 2.1.5 ok",
    "250-2.0.0 one\r\n250 2.0.0 two",
    "451 4.3.0 later",
    "550-5.1.1 no\r\n550 5.1.1 really no",
]


async def through(sizes, manner, choices):
    """What each of nine messages came to, with the server's choice of replies, cut to pieces."""

    def chosen(moment):
        return Answer(REPLIES[choices[len(moment.phase) - 4 + moment.transaction % 9]])

    flow = Queue(numbered(9))
    async with (
        cutting(sizes) as (port, target),
        SinkServer(keywords=BOTH, hooks={"rcpt": chosen, "content": chosen}) as sink,
    ):
        target.port = sink.port
        session = await open_session(hop_to(None, port=port), loopback_network(), SHORT)
        session.proven, session.window = True, 9
        await convey(session, flow, manner)
        session.abort()
    told = [
        (blame(*result.outcomes), result.outcomes[0].after_dot, [step.reply for step in result.steps])
        for result in flow.results.values()
    ]
    return told, [taken.content for taken in sink.accepted]


@settings(max_examples=60, deadline=None)
@given(MANNER, CUTS, st.lists(st.integers(0, 3), min_size=16, max_size=16))
def test_replies_cut_anywhere_mean_the_same(manner, cuts, choices):
    whole = asyncio.run(through([65_536], manner, choices))
    assert asyncio.run(through(cuts, manner, choices)) == whole
    assert len(whole[0]) == 9


# Commands


@settings(max_examples=120, deadline=None)
@given(
    MANNER,
    st.lists(st.text(max_size=12), max_size=3),
    st.sampled_from(["{}@example.org", '"{}"@example.org', "a@{}"]),
)
def test_an_address_is_refused_or_yields_exactly_the_intended_commands(manner, texts, form):
    paths = []
    for text in texts:
        with contextlib.suppress(Invalid):
            paths.append(Mailbox.parse(form.format(text)))
    envelopes = [Envelope.to_each(path, (Mailbox.parse("one@example.org"), path)) for path in paths]
    messages = [Message(envelope, Held(b"\r\n")) for envelope in [*envelopes, message().envelope]]
    flow, sink = asyncio.run(conveyed(messages, manner))
    expected = []
    for one in messages:
        path = one.envelope.reverse_path.wire
        utf8 = " SMTPUTF8" if one.envelope.needs_smtputf8 else ""
        expected.append(f"MAIL FROM:<{path}> SIZE=2{utf8}")
        expected += [f"RCPT TO:<{recipient.wire}>" for recipient in one.envelope.recipients]
    said = [line for _, line in sink.commands if line[:4] in {"MAIL", "RCPT"}]
    assert said == expected
    verbs = {line.split()[0] for _, line in sink.commands}
    assert verbs <= {"EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "QUIT"}
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert not bare(bytes(sink.heard))
    assert sink.faults == []


@settings(max_examples=100, deadline=None)
@given(MANNER, st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_a_header_value_is_refused_or_arrives_in_its_field(manner, values):
    contents = []
    for value in values:
        with contextlib.suppress(Invalid):
            contents.append(text_field("Subject", value) + b"\r\n.\r\n")
    flow, sink = asyncio.run(conveyed([message(content=content) for content in contents], manner))
    assert [taken.content for taken in sink.accepted] == contents
    assert all(outcome.accepted for outcome in flow.outcomes)
    expected = {"single": 3, "data": 4, "bdat": 4}[manner] * len(contents)
    windows = len(flow.stages) if manner is Manner.BDAT else 0  # each ends with EHLO
    assert len(sink.commands) == 2 + expected + windows - (manner is not Manner.SINGLE and bool(contents))
    assert sink.faults == []


# Content

OCTETS = st.lists(
    st.sampled_from([b"\r\n", b"\r\n", b".", b"a", b"\r", b"\n", b"\xc3\xa9", b"b" * 300]), max_size=14
).map(b"".join)
WHOLE = st.lists(st.sampled_from([b"\r\n", b"\r\n", b".", b"..", b"a", b"b" * 997]), max_size=14).map(
    b"".join
)


@settings(max_examples=150, deadline=None)
@given(MANNER, st.lists(WHOLE, min_size=1, max_size=4))
def test_content_arrives_byte_for_byte(manner, contents):
    messages = [message(content=content) for content in contents]
    flow, sink = asyncio.run(conveyed(messages, manner))
    assert all(outcome.accepted for outcome in flow.outcomes)
    for taken, one in zip(sink.accepted, messages, strict=True):
        fitted = asyncio.run(one.body.fitted(eight_bit=True, smtputf8=True)).content
        unended = manner is not Manner.BDAT and fitted and not fitted.endswith(b"\r\n")
        assert taken.content == fitted + (b"\r\n" if unended else b"")


@settings(max_examples=150, deadline=None)
@given(MANNER, OCTETS, st.lists(st.integers(0, 40), max_size=4))
@example(Manner.DATA, b"a\r", [])  # a block may end within a CRLF, and be the last
def test_no_bare_cr_or_lf_ever_leaves(manner, content, cuts):
    borders = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})

    class Pieces(Lazy):
        ascii = False
        size = len(content)

        async def blocks(self):
            for start, end in itertools.pairwise(borders):
                yield content[start:end]

    odd = Message(message().envelope, Pieces(0))
    flow, sink = asyncio.run(conveyed([*numbered(2), odd, *numbered(2)], manner))
    assert not bare(bytes(sink.heard))
    (outcome,) = flow.results[odd].outcomes
    if has_bare_line_ending(content):
        assert blame(outcome)[1] is Cause.BARE_LINE_ENDING
        assert not outcome.after_dot
        assert content not in [taken.content for taken in sink.accepted]
    else:
        assert outcome.accepted
    with contextlib.suppress(ValueError):
        assert Held(content).content == content
        assert not has_bare_line_ending(content)
