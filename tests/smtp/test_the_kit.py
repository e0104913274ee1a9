"""The scripted server and the sink do what the other tests rely on (judged by the standard library's client)."""

from __future__ import annotations

import asyncio
import json
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from scripted.certificates import the_authority
from scripted.dialogue import Act, octets, parse
from scripted.server import Deviation, ScriptedServer
from scripted.sink import LOST, Answer, SinkServer

TESTS = Path(__file__).parents[1]


def test_escapes_stand_for_bytes():
    assert octets(r"a\r\n\0\x1b[\\é") == b"a\r\n\0\x1b[\\\xc3\xa9"


def test_a_dashed_line_begins_the_next_connection():
    assert [[line.act for line in part] for part in parse("S: 220 a\n# note\n----\n@drop")] == [
        [Act.SAY],
        [Act.DROP],
    ]


async def test_a_line_that_deviates_fails_with_both_lines():
    with pytest.raises(Deviation, match=r"- C: EHLO right\n\+ EHLO wrong"):  # noqa: PT012
        async with ScriptedServer("S: 220 hi\nC: EHLO right") as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            await reader.readline()
            writer.write(b"EHLO wrong\r\n")
            await reader.read()
            writer.close()


async def test_a_connection_that_never_came_fails():
    with pytest.raises(Deviation, match="never opened"):
        async with ScriptedServer("S: 220 hi"):
            pass


async def test_a_script_speaks_tls_on_request():
    context = ssl.create_default_context(cadata=the_authority().pem.decode())
    async with ScriptedServer("@tls\nS: 220 hi\nC: QUIT\nS: 221 bye\n@close") as server:
        reader, writer = await asyncio.open_connection(
            server.host, server.port, ssl=context, server_hostname="localhost"
        )
        assert await reader.readline() == b"220 hi\r\n"
        writer.write(b"QUIT\r\n")
        assert await reader.readline() == b"221 bye\r\n"
        writer.close()
        await writer.wait_closed()


def test_the_sink_keeps_what_it_accepts():
    context = ssl.create_default_context(cadata=the_authority().pem.decode())
    with (
        SinkServer(login="app", password="word", encryption="starttls").in_thread() as sink,
        smtplib.SMTP("127.0.0.1", sink.port) as client,
    ):
        client.starttls(context=context)
        client.login("app", "word")
        client.sendmail("a@example.org", ["b@example.org", "c@example.org"], b"Subject: x\r\n\r\n.dot\r\n")
    (taken,) = sink.accepted
    assert (taken.mail, taken.recipients) == ("a@example.org", ("b@example.org", "c@example.org"))
    assert taken.content == b"Subject: x\r\n\r\n.dot\r\n"
    assert taken.tls
    assert taken.login == "app"
    assert sink.faults == []


def test_a_hook_chooses_the_reply_and_a_lost_one_is_still_accepted():
    answers = [Answer("451 4.3.0 later"), LOST]
    with (
        SinkServer(hooks={"content": lambda _: answers.pop(0)}).in_thread() as sink,
        smtplib.SMTP("127.0.0.1", sink.port) as client,
    ):
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@example.org", ["b@example.org"], b"1")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("a@example.org", ["b@example.org"], b"2")
    assert [(taken.content, taken.answered) for taken in sink.accepted] == [(b"2\r\n", False)]


def test_the_sink_runs_as_a_process_of_its_own(tmp_path):
    log = tmp_path / "accepted.jsonl"
    command = [
        sys.executable,
        "-m",
        "scripted.sink",
        "--log",
        str(log),
        "--rcpt-reply",
        "no@*=550 5.1.1 unknown",
    ]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            with smtplib.SMTP("127.0.0.1", port) as client:
                client.sendmail("a@example.org", ["no@example.org", "yes@example.org"], b"x")
        finally:
            process.terminate()
    assert [json.loads(line)["recipients"] for line in log.read_text().splitlines()] == [["yes@example.org"]]
