"""U29: the dialogue breaks, stalls or turns against us while the content is on its way. Nobody gets half of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from upstream_fault import ACCEPTED, KEYWORDS, READY, doubtful, everybody, facing, refused, retry, waits

from scripted.leaving import caught_up
from scripted.server import ScriptedServer
from scripted.sink import DROP, Answer, SinkServer
from vaguemestre.courier.recorder import Recorder

pytestmark = pytest.mark.any_database

BROKEN = "The dialogue with the server broke before the message was handed over."
LATER = "The server asks to try this message later."
REFUSED = "The server refuses this message."
CLOSING = "The server is closing its service for now."
IN_DOUBT = "The connection broke after the end of the message."

LARGE = ("z" * 76 + "\r\n") * 13_500  # a megabyte, five chunks
SIZE = 78 * 13_500

MAIL = "C: MAIL FROM:<office@example.org>\nS: 250 ok\nC: RCPT TO:<to@example.com>\nS: 250 ok\nC: DATA\nS: 354 go\n"
TAKEN = f"{MAIL}@content\nS: 250 taken\nC: QUIT\nS: 221 bye\n@close"
OPENED = {
    "single": "S: 220 mx\nC~ EHLO \\S+\nS: 250 mx\n",
    "data": "S: 220 mx\nC~ EHLO \\S+\nS- 250-mx\\r\\n250 PIPELINING\\r\\n\n",
}

in_data = pytest.mark.parametrize("manner", ["single", "data"])


@pytest.fixture
def late_marks(monkeypatch):
    """Have no mark asked for before an event: what the system took of a content may be all of it by then."""
    stage = Recorder.stage

    def have(event):
        async def late(self, lane, marks):
            await event.wait()
            await caught_up()
            return await stage(self, lane, marks)

        monkeypatch.setattr(Recorder, "stage", late)

    return have


def first(answer):
    """A hook that gives this answer once."""
    given = [answer]
    return lambda _: given.pop() if given else None


@pytest.mark.parametrize("manner", KEYWORDS)
async def test_u29_a_drop_right_after_the_354_is_retried(office, manner):
    hooks = {"data": first(Answer("354 go", then="drop")), "bdat": first(DROP)}
    async with SinkServer(keywords=KEYWORDS[manner], hooks=hooks) as sink, facing(office, sink) as fault:
        # BDAT has no 354: what was dropped there was the whole message.
        assert await fault.end() == (doubtful(IN_DOUBT) if manner == "bdat" else retry(BROKEN))
        assert await fault.health() == READY
        assert await fault.broken_running() == 1
        await fault.later(minutes=11)
        await fault.accepted()
    assert everybody(sink) == ["to@example.com"]


@in_data
@pytest.mark.parametrize(("percent", "end"), [(10, "@drop"), (50, "@rst"), (99, "@drop")])
async def test_u29_lost_within_the_content(office, late_marks, manner, percent, end):
    script = f"{OPENED[manner]}{MAIL}@read {SIZE * percent // 100}\n{end}\n----\n{OPENED[manner]}{TAKEN}"
    async with ScriptedServer(script, receive_buffer=65_536) as server:
        late_marks(server.dropped)
        async with facing(office, server, post={"text": LARGE}) as fault:
            assert await fault.end() == retry(BROKEN)
            assert await fault.health() == READY
            assert await fault.broken_running() == 1
            await fault.later(seconds=61)
            await fault.accepted()
            assert await fault.broken_running() == 0
    (content,) = server.contents
    assert content.endswith(f"\r\n\r\n{LARGE}\r\n".encode())


SAID = {
    said: (end, health)
    for said, end, health in [
        ("550 5.7.1 enough", refused(REFUSED), READY),
        ("452 4.3.1 full", retry(LATER), READY),
        ("421 4.3.2 closing", waits(CLOSING), ("throttled", CLOSING, "421 4.3.2 closing", 60.0)),
        ("250 what", retry(BROKEN), READY),
        ("rubbish", retry(BROKEN), READY),
    ]
}


@pytest.mark.parametrize(
    ("manner", "said"), [*(("data", said) for said in SAID), *(("single", said) for said in list(SAID)[:2])]
)
async def test_u29_a_reply_within_the_content(office, manner, said):
    end, health = SAID[said]
    script = f"{OPENED[manner]}{MAIL}@read 100000\nS: {said}\n@close any"
    if end.state == "queued":
        script += f"\n----\n{OPENED[manner]}{TAKEN}"
    async with (
        ScriptedServer(script, receive_buffer=65_536) as server,
        facing(office, server, post={"text": LARGE * 4}) as fault,
    ):
        assert await fault.end() == end
        assert await fault.health() == health
        if end.state == "queued":
            await fault.later(seconds=61)
            await fault.accepted()
            assert await fault.end(attempts=2) == replace(ACCEPTED, counted=end.counted, spent=end.spent)
    assert len(server.contents) == (end.state == "queued")


@pytest.mark.parametrize(
    ("chunk", "answer", "end", "health"),
    [
        (1, DROP, retry(BROKEN), READY),
        (3, Answer(then="rst"), retry(BROKEN), READY),
        (3, Answer("354 go"), retry(BROKEN), READY),
        (3, Answer("552 5.3.4 enough"), refused(REFUSED), READY),
        (3, Answer("451 4.3.0 later"), retry(LATER), READY),
        (
            3,
            Answer("421 4.3.2 closing", then="drop"),
            waits(CLOSING),
            ("throttled", CLOSING, "421 4.3.2 closing", 60.0),
        ),
        (0, DROP, doubtful(IN_DOUBT), READY),  # the last
    ],
)
async def test_u29_a_chunk_goes_wrong(office, chunk, answer, end, health):
    """Before the last one nobody can have got it; the next transaction then delivers it whole."""
    chunks, given = [], []

    def bdat(moment):
        chunks.append(moment)
        if len(given) == 1:
            return None
        found = "LAST" in moment.argument if chunk == 0 else len(chunks) == chunk
        given.extend([answer] * found)
        return answer if found else None

    async with (
        SinkServer(keywords=KEYWORDS["bdat"], hooks={"bdat": bdat}) as sink,
        facing(office, sink, post={"text": LARGE}) as fault,
    ):
        assert await fault.end() == end
        assert await fault.health() == health
        await fault.later(minutes=11)
        await office.until(fault.message, "accepted", "refused")
    taken = sink.contents("to@example.com")
    assert len(taken) == (end.state != "refused")
    assert all(content.endswith(f"\r\n\r\n{LARGE}\r\n".encode()) for content in taken)


@pytest.mark.parametrize("manner", KEYWORDS)
async def test_u29_a_server_that_reads_no_more_is_left_at_the_block_s_deadline(office, manner):
    office.timeouts = replace(office.timeouts, block=0.4)
    if manner == "bdat":
        opened = "S: 220 mx\nC~ EHLO \\S+\nS- 250-mx\\r\\n250-PIPELINING\\r\\n250 CHUNKING\\r\\n\n"
        script = opened + MAIL.removesuffix("C: DATA\nS: 354 go\n")
    else:
        script = OPENED[manner] + MAIL
    async with (
        ScriptedServer(f"{script}@stall 1.0\n@close any", receive_buffer=4096) as server,
        facing(office, server, post={"text": LARGE * 12}) as fault,
    ):
        assert await fault.end() == retry(BROKEN)
        assert await fault.health() == READY
        assert await fault.broken_running() == 1
        assert (await office.delivery(fault.message)).trouble["cause"] == "timeout"
    assert server.contents == []
