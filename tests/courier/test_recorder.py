"""What shares a commit, and what goes first: a session waits for its mark, and nobody for a result."""

import socket
from threading import Event, Thread
from types import SimpleNamespace

import uvloop
from django.db import connection as database

from scripted.sink import Answer, SinkServer
from vaguemestre.courier.recorder import FEW
from vaguemestre.ledger import queue
from vaguemestre.ledger.models import Attempt
from vaguemestre.ledger.threads import LedgerThreads


def watched(worker):
    """The marks and results of each commit from now on, as pairs of numbers."""
    seen, run = [], worker.engine.threads.run

    async def watch(function, *arguments, **named):
        if function is queue.record_all:
            seen.extend((len(entry.marks), len(entry.reports)) for entry in arguments[0])
        return await run(function, *arguments, **named)

    worker.engine.threads.run = watch
    return seen


async def test_one_session_waits_for_its_mark_alone_and_few_results_follow(office, sink):
    await office.connect(sink, limits={"max_sessions": 1})
    messages = [await office.post(f"to{number}@example.com") for number in range(8)]
    async with office.courier() as worker:
        seen = watched(worker)
        for message in messages:
            await office.until(message, "accepted")
    assert sum(marks for marks, _ in seen) == sum(reports for _, reports in seen) == 8
    assert [reports for marks, reports in seen if marks and 0 < reports < FEW] == []


async def test_what_many_sessions_want_written_shares_its_commits(office, sink):
    await office.connect(sink, limits={"max_sessions": 10})
    messages = [await office.post(f"to{number}@example.com") for number in range(60)]
    async with office.courier() as worker:
        seen = watched(worker)
        for message in messages:
            await office.until(message, "accepted")
    assert sum(marks for marks, _ in seen) == sum(reports for _, reports in seen) == 60
    assert max(marks + reports for marks, reports in seen) > FEW
    assert len(seen) < 120


async def test_where_many_stage_at_once_a_commit_waits_a_moment_for_the_others(office):
    def at_odd_times(moment):
        number = int(moment.recipients[0].partition("@")[0].removeprefix("to"))
        return Answer("250 2.0.0 taken", delay=0.0005 * (number % 10))

    async with SinkServer(hooks={"content": at_odd_times}) as sink:
        await office.connect(sink, limits={"max_sessions": 10})
        messages = [await office.post(f"to{number}@example.com") for number in range(100)]
        async with office.courier(gather=10.0) as worker:
            seen = watched(worker)
            for message in messages:
                await office.until(message, "accepted")
    together = [marks for marks, _ in seen if marks > FEW]
    assert sum(marks for marks, _ in seen) == 100
    assert together[1:9] == [10] * 8  # the first of many is the first sign of them
    assert len(seen) < 30


def test_what_the_server_says_while_a_lone_mark_is_committed_is_heard_before_the_dot(office, monkeypatch):
    """The commit is made on the loop, which hears nothing meanwhile."""
    told, said, rest, record_as_ever = Event(), Event(), [], queue.record_all

    def recorded(entries, now):
        if any(entry.marks for entry in entries):
            told.set()
            assert said.wait(5)
        return record_as_ever(entries, now)

    async def closed(port):
        threads = LedgerThreads(1, here=database.vendor == "sqlite")
        await office.connect(SimpleNamespace(port=port))
        message = await office.post()
        try:
            async with office.courier(threads=threads):
                await office.until_true(Attempt.objects.exists)
        finally:
            threads.shutdown()
        return (await office.delivery(message)).state

    monkeypatch.setattr(queue, "record_all", recorded)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Thread(target=_closes, args=(listener, told, said, rest))
        server.start()
        assert uvloop.run(closed(listener.getsockname()[1])) == "queued"
        server.join(5)
    assert b"hello" in rest[0]
    assert not rest[0].endswith(b"\r\n.\r\n")


def _closes(listener, told, said, rest):
    """A server that has enough once it is told to; and what came to it of the content."""
    answers = {b"EHLO": b"250-here\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n"}
    plug, _ = listener.accept()
    with plug, plug.makefile("rb") as heard:
        plug.sendall(b"220 here\r\n")
        for line in heard:
            plug.sendall(answers.get(line[:4], b"250 ok\r\n"))
            if line.startswith(b"DATA"):
                break
        told.wait(5)
        plug.sendall(b"421 4.3.2 closing\r\n")
        said.set()
        rest.append(heard.read())
