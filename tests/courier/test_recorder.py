"""What shares a commit, and what goes first: a session waits for its mark, and nobody for a result."""

from scripted.sink import Answer, SinkServer
from vaguemestre.courier.recorder import FEW
from vaguemestre.ledger import queue


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
    assert together[:8] == [10] * 8
    assert len(seen) < 30
