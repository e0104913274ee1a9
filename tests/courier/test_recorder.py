"""What shares a commit, and what goes first: a session waits for its mark, and nobody for a result."""

from itertools import pairwise

import pytest

from scripted.sink import Answer, SinkServer
from vaguemestre.courier.recorder import FEW


@pytest.fixture
def seen(instead_of_commits):
    """The marks and results of each commit, as pairs of numbers."""
    pairs = []

    def watch(entries, commit):
        answer = commit()  # or it could not begin, and is tried again
        pairs.extend((len(entry.marks), len(entry.reports)) for entry in entries)
        return answer

    instead_of_commits(watch)
    return pairs


async def test_one_session_waits_for_its_mark_alone_and_few_results_follow(office, sink, seen):
    await office.connect(sink, limits={"max_sessions": 1})
    messages = [await office.post(f"to{number}@example.com") for number in range(8)]
    async with office.courier():
        for message in messages:
            await office.until(message, "accepted")
    assert sum(marks for marks, _ in seen) == sum(reports for _, reports in seen) == 8
    assert [reports for marks, reports in seen if marks and 0 < reports < FEW] == []


async def test_what_many_sessions_want_written_shares_its_commits(office, sink, seen):
    await office.connect(sink, limits={"max_sessions": 10})
    messages = [await office.post(f"to{number}@example.com") for number in range(60)]
    async with office.courier():
        for message in messages:
            await office.until(message, "accepted")
    assert sum(marks for marks, _ in seen) == sum(reports for _, reports in seen) == 60
    assert max(marks + reports for marks, reports in seen) > FEW
    assert len(seen) < 120


async def test_where_many_stage_at_once_a_commit_waits_a_moment_for_the_others(office, instead_of_commits):
    commits = []  # marks, and sessions at work

    def watch(entries, commit):
        commits.append((sum(len(entry.marks) for entry in entries), worker.engine.carrying))
        return commit()

    def at_odd_times(moment):
        number = int(moment.recipients[0].partition("@")[0].removeprefix("to"))
        return Answer("250 2.0.0 taken", delay=0.0005 * (number % 10))

    instead_of_commits(watch)
    async with SinkServer(hooks={"content": at_odd_times}) as sink:
        await office.connect(sink, limits={"max_sessions": 10})
        messages = [await office.post(f"to{number}@example.com") for number in range(100)]
        async with office.courier(gather=2.0) as worker:
            for message in messages:
                await office.until(message, "accepted", within=30)
    assert sum(marks for marks, _ in commits) == 100
    # The first of many is the first sign of them. In the end there is nobody to wait for.
    behind = [now for (many, _), now in pairwise(commits) if many > FEW]
    together = [marks for marks, at_work in behind if marks and at_work == 10]
    assert together == [10] * len(together)
    assert len(together) >= 6
    assert len(commits) < 30


async def test_a_fault_of_ours_behind_the_commit_is_told_to_who_waits_for_its_mark(
    office, sink, instead_of_commits
):
    whole = []

    def too_few(entries, commit):
        answers = commit()
        return answers if whole or not entries[0].marks else whole.append(answers) or []

    instead_of_commits(too_few)
    await office.connect(sink)
    message = await office.post()
    async with office.courier():
        (delivery,) = (await office.until(message, "accepted", within=3.0)).values()
    assert (len(whole), len(sink.accepted), delivery.doubts) == (1, 1, 0)
