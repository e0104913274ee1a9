"""The sink takes windows and chunks as RFC 2920 and 3030 say, and sees what a client does against them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from scripted.certificates import the_authority
from scripted.sink import DROP, LOST, Answer, SinkServer

TESTS = Path(__file__).parents[1]
CHUNKING = (*SinkServer.keywords, "CHUNKING")
GROUP = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\n"


class Speaker:
    """Writes bytes as they are given, and reads replies."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def write(self, data):
        self.writer.write(data)

    async def codes(self, count):
        """The codes of the next replies; 0 for the end."""
        found = []
        while len(found) < count:
            line = await self.reader.readline()
            if line[3:4] != b"-":
                found.append(int(line[:3] or 0))
        return found

    async def ask(self, data, count=1):
        self.write(data)
        return await self.codes(count)


@contextlib.asynccontextmanager
async def speaking(sink, *, hello=b"EHLO client.example.org\r\n"):
    reader, writer = await asyncio.open_connection(sink.host, sink.port)
    speaker = Speaker(reader, writer)
    try:
        assert await speaker.codes(1) == [220]
        if hello:
            assert await speaker.ask(hello) == [250]
        yield speaker
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def chunk(content, *, last=True):
    return b"BDAT %d%s\r\n%s" % (len(content), b" LAST" if last else b"", content)


async def test_a_window_of_chunks_is_answered_in_order_and_taken_byte_for_byte():
    contents = [b"Subject: %d\r\n\r\n.\r\n..dots\r\n" % n for n in range(4)]
    async with SinkServer(keywords=CHUNKING) as sink, speaking(sink) as speaker:
        first, *others = [GROUP + chunk(content) for content in contents]
        speaker.write(first + b"".join(b"RSET\r\n" + other for other in others))
        assert await speaker.codes(15) == [250] * 15
    assert [one.content for one in sink.accepted] == contents
    assert {one.manner for one in sink.accepted} == {"BDAT"}
    assert sink.faults == []


async def test_chunks_before_the_last_are_answered_and_joined():
    async with SinkServer(keywords=CHUNKING) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + chunk(b"Subject: x\r\n\r\nab", last=False), 3) == [250] * 3
        assert await speaker.ask(chunk(b"cd\r\n", last=False)) == [250]
        assert sink.accepted == []
        assert await speaker.ask(b"BDAT 0 LAST\r\n") == [250]
    assert sink.contents("b@example.org") == [b"Subject: x\r\n\r\nabcd\r\n"]
    assert sink.faults == []


async def test_the_next_transaction_may_ride_behind_the_dot():
    async with SinkServer() as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + b"DATA\r\n", 3) == [250, 250, 354]
        ride = b"one\r\n.\r\nRSET\r\n" + GROUP + b"DATA\r\n"
        assert await speaker.ask(ride, 5) == [250, 250, 250, 250, 354]
        assert await speaker.ask(b"two\r\n.\r\nRSET\r\nQUIT\r\n", 3) == [250, 250, 221]
    assert [one.content for one in sink.accepted] == [b"one\r\n", b"two\r\n"]
    assert sink.faults == []


@pytest.mark.parametrize(
    ("group", "codes"),
    [
        (b"", [503]),
        (b"MAIL FROM:<a@example.org>\r\n", [250, 554]),
        (GROUP.replace(b"<b@", b"<no@"), [250, 550, 554]),
    ],
)
async def test_a_chunk_without_recipients_is_read_and_refused_until_rset(group, codes):
    def refuse(moment):
        return Answer("550 5.1.1 unknown") if moment.argument.startswith("no@") else None

    async with SinkServer(keywords=CHUNKING, hooks={"rcpt": refuse}) as sink, speaking(sink) as speaker:
        assert await speaker.ask(group + chunk(b"QUIT\r\n"), len(codes)) == codes
        assert await speaker.ask(b"RSET\r\n" + GROUP + chunk(b"x\r\n"), 4) == [250] * 4
    assert sink.contents("b@example.org") == [b"x\r\n"]
    assert sink.faults == []


async def test_a_chunk_that_failed_wants_rset_before_the_next_mail():
    hooks = {"content": lambda moment: Answer("451 4.3.0 later") if moment.transaction == 1 else None}
    async with SinkServer(keywords=CHUNKING, hooks=hooks) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + chunk(b"one\r\n"), 3) == [250, 250, 451]
        assert await speaker.ask(GROUP + chunk(b"two\r\n"), 3) == [503, 503, 503]
        assert await speaker.ask(b"RSET\r\n" + GROUP + chunk(b"three\r\n"), 4) == [250] * 4
    assert [one.content for one in sink.accepted] == [b"three\r\n"]
    assert sink.faults == ["session 1: MAIL behind a failed BDAT, without RSET"]


async def test_chunks_behind_a_failed_one_are_read_and_thrown_away():
    hooks = {"bdat": lambda moment: Answer("552 5.3.4 too big") if moment.argument == "5" else None}
    async with SinkServer(keywords=CHUNKING, hooks=hooks) as sink, speaking(sink) as speaker:
        group = GROUP + chunk(b"12345", last=False) + chunk(b"123", last=False) + chunk(b"RSET\r\n")
        assert await speaker.ask(group, 5) == [250, 250, 552, 503, 503]
    assert sink.accepted == []
    assert sink.faults == []


async def test_mail_within_a_transaction_is_503_and_a_refused_rset_resets_nothing():
    hooks = {"rset": lambda moment: Answer("500 5.5.1 what") if moment.mail == "a@example.org" else None}
    async with SinkServer(hooks=hooks) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + b"MAIL FROM:<c@example.org>\r\n", 3) == [250, 250, 503]
        assert await speaker.ask(b"RSET\r\nMAIL FROM:<c@example.org>\r\nDATA\r\n", 3) == [500, 503, 354]
        assert await speaker.ask(b"x\r\n.\r\n") == [250]
    assert [one.mail for one in sink.accepted] == ["a@example.org"]


async def test_a_refused_data_leaves_the_transaction_open():
    answers = [Answer("451 4.3.0 not now"), None]
    async with SinkServer(hooks={"data": lambda _: answers.pop(0)}) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + b"DATA\r\n", 3) == [250, 250, 451]
        assert await speaker.ask(b"MAIL FROM:<c@example.org>\r\n") == [503]
        assert await speaker.ask(b"DATA\r\n") == [354]
        assert await speaker.ask(b"x\r\n.\r\n") == [250]


async def test_354_without_a_recipient_takes_a_lone_dot_only():
    hooks = {"data": lambda _: Answer("354 go"), "rcpt": lambda _: Answer("550 5.1.1 unknown")}
    async with SinkServer(hooks=hooks) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + b"DATA\r\n", 3) == [250, 550, 354]
        assert await speaker.ask(b".\r\n") == [554]
        assert sink.faults == []
        assert await speaker.ask(b"RSET\r\n" + GROUP + b"DATA\r\n", 4) == [250, 250, 550, 354]
        assert await speaker.ask(b"x\r\n.\r\n") == [554]
    assert sink.accepted == []
    assert sink.faults == ["session 1: content without an accepted recipient"]


@pytest.mark.parametrize(
    ("written", "count", "fault"),
    [
        (b"STARTTLS\r\nEHLO early.example.org\r\n", 1, "wrote behind STARTTLS before its reply"),
        (b"AUTH PLAIN AGFwcABzZWNyZXQ=\r\n" + GROUP, 3, "wrote behind AUTH before its reply"),
        (GROUP + b"DATA\r\nSubject: x\r\n\r\nearly\r\n.\r\n", 4, "wrote behind DATA before its reply"),
        (b"EHLO again.example.org\r\nRSET\r\n", 2, "wrote behind EHLO before its reply"),
        (b"MAIL FROM:<a@example.org> BODY=7BIT\r\n", 1, "MAIL with BODY=7BIT, which was not announced"),
        (b"MAIL FROM: <a@example.org>\r\n", 1, "MAIL FROM: <a@example.org>"),
        (GROUP + b"BDAT 3 LAST\r\nabc", 3, "BDAT, which was not announced"),
        (b"NOOP\n", 1, "line not ended by CRLF: b'NOOP\\n'"),
        (b"RSET\r\nEXPN list\r\n", 2, "unknown command: EXPN list"),
    ],
)
async def test_a_fault_of_the_client_is_told(written, count, fault):
    server = SinkServer(
        keywords=("PIPELINING",), login="app", password="secret", encryption="starttls", mechanisms="PLAIN"
    )
    async with server as sink, speaking(sink) as speaker:
        await speaker.ask(written, count)
    assert sink.faults == [f"session 1: {fault}"]


async def test_what_is_written_behind_a_command_without_pipelining_is_a_fault():
    async with SinkServer(keywords=("CHUNKING",)) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + chunk(b"x\r\n"), 3) == [250] * 3
    assert sink.faults == [
        "session 1: wrote behind MAIL without PIPELINING",
        "session 1: wrote behind RCPT without PIPELINING",
    ]


async def test_a_command_before_the_greeting_is_a_fault():
    async with SinkServer(hooks={"greeting": lambda _: Answer("220 late", delay=0.1)}) as sink:
        reader, writer = await asyncio.open_connection(sink.host, sink.port)
        speaker = Speaker(reader, writer)
        assert await speaker.ask(b"EHLO client.example.org\r\n", 2) == [220, 250]
        writer.close()
    assert sink.faults == ["session 1: wrote behind nothing before its reply"]


async def test_nothing_written_before_tls_is_heard_behind_it():
    context = ssl.create_default_context(cadata=the_authority().pem.decode())
    async with SinkServer(encryption="starttls") as sink, speaking(sink) as speaker:
        assert await speaker.ask(b"STARTTLS\r\n") == [220]
        await speaker.writer.start_tls(context, server_hostname="localhost")
        assert await speaker.ask(b"MAIL FROM:<a@example.org>\r\n") == [250]
    assert sink.faults == ["session 1: MAIL before EHLO"]


async def test_a_lost_reply_in_a_window_leaves_the_replies_before_it_readable():
    answers = [None, LOST]
    hooks = {"content": lambda _: answers.pop(0)}
    async with SinkServer(keywords=CHUNKING, hooks=hooks) as sink, speaking(sink) as speaker:
        window = b"RSET\r\n".join([GROUP + chunk(b"x" * 100_000 + b"\r\n") for _ in range(5)])
        speaker.write(window)
        assert await speaker.codes(3) == [250] * 3
        assert await speaker.codes(4) == [250, 250, 250, 0]
    assert [one.answered for one in sink.accepted] == [True, False]


async def test_a_server_may_announce_chunking_and_not_know_it():
    hooks = {"bdat": lambda _: Answer("500 5.5.2 what", reads=False)}
    async with SinkServer(keywords=CHUNKING, hooks=hooks) as sink, speaking(sink) as speaker:
        assert await speaker.ask(GROUP + chunk(b"NOOP\r\nNOOP\r\n"), 5) == [250, 250, 500, 250, 250]
    assert sink.accepted == []


async def test_a_drop_at_a_chunk_takes_nothing():
    async with (
        SinkServer(keywords=CHUNKING, hooks={"bdat": lambda _: DROP}) as sink,
        speaking(sink) as speaker,
    ):
        assert await speaker.ask(GROUP + chunk(b"x\r\n"), 3) == [250, 250, 0]
    assert sink.accepted == []


@contextlib.contextmanager
def as_process(tmp_path, *words):
    """The port of a sink with such arguments, and its log and faults, to be read when it is over."""
    log, faults = tmp_path / "log", tmp_path / "faults"
    command = [sys.executable, "-m", "scripted.sink", "--log", log, "--faults", faults, *words]
    with subprocess.Popen([*map(str, command)], cwd=TESTS, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["port"], log, faults
        finally:
            process.terminate()


async def lost_by(tmp_path, seed):
    """Which of 40 messages got no reply, and what of it the log says."""
    lost = set()
    with as_process(tmp_path, "--lose", "0.25", "--seed", seed, "--keywords", "PIPELINING,CHUNKING") as (
        port,
        log,
        faults,
    ):
        sink = SinkServer(port=port)
        for number in range(40):
            async with speaking(sink) as speaker:
                if (await speaker.ask(GROUP + chunk(b"%d" % number), 3))[2] == 0:
                    lost.add(number)
        logged = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(logged) == 40
        assert {number for number, one in enumerate(logged) if not one["answered"]} == lost
        assert faults.read_text() == ""
        log.unlink()
    return lost


async def test_a_process_takes_every_message_and_loses_a_share_of_its_replies_by_its_seed(tmp_path):
    first, second, again = [await lost_by(tmp_path, seed) for seed in (1, 2, 1)]
    assert 3 <= len(first) <= 20
    assert first == again
    assert first != second


async def test_a_process_announces_what_it_is_told_and_writes_down_faults(tmp_path):
    with as_process(tmp_path, "--keywords", "") as (port, log, faults):
        async with speaking(SinkServer(port=port)) as speaker:
            await speaker.ask(GROUP, 2)
            await speaker.ask(b"QUIT\r\n")
        assert faults.read_text() == "session 1: wrote behind MAIL without PIPELINING\n"
        assert log.read_text() == ""
