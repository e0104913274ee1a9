"""A lane that cannot trust what it holds is given up and taken again, so that nothing stays claimed for ever."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models import F

from scripted.sink import Answer
from vaguemestre.courier.engine import system_boottime
from vaguemestre.ledger import connections, leases, messages, queue, recovery
from vaguemestre.ledger.models import Attempt, Delivery, Event, Lane


async def test_a_stale_lane_is_taken_again_with_a_new_epoch_and_works_on(office, sink):
    await office.connect(sink)
    async with office.courier() as worker:
        await office.until(await office.post(), "accepted")
        (lane,) = worker._lanes.values()
        lane.stale = True
        message = await office.post()
        await office.until(message, "accepted")
        (again,) = worker._lanes.values()
        assert again.lease.epoch == lane.lease.epoch + 1
    assert len(sink.accepted) == 2


async def test_l08_a_record_that_was_committed_unseen_is_kept_once(office, sink, instead_of_commits):
    """The commit went through, and the courier never saw it: it records the same once more."""
    lost = []

    def unseen(entries, commit):
        answer = commit()
        if entries[0].reports and not lost:
            lost.append(entries[0].reports[0].claim)
            raise OperationalError("the connection was lost after COMMIT")
        return answer

    instead_of_commits(unseen)
    connection = await office.connect(sink)
    async with office.courier():
        first = await office.post()
        found = await office.until(first, "accepted")
        await office.until_true(lambda: lost)
        second = await office.post()
        await office.until(second, "accepted")
    assert len(sink.accepted) == 2
    assert await office.ask(Attempt.objects.count) == 2
    recorded = Event.objects.filter(delivery=found["to@example.com"], detail__code="attempt")
    assert await office.ask(recorded.count) == 1
    assert (await office.ask(lambda: connections.find(str(connection.uid)))).active


async def test_a_stale_lane_of_a_connection_switched_off_leaves_nothing_claimed(office, sink):
    connection = await office.connect(sink, limits={"max_sessions": 1})
    sink.hooks = {"greeting": lambda moment: Answer("220 hi", delay=0.5)}
    async with office.courier() as worker:
        posted = [await office.post(f"r{number}@example.com") for number in range(5)]
        await office.until_true(lambda: messages.depths().get("claimed", 0) >= 1 and bool(worker._lanes))
        (lane,) = worker._lanes.values()
        lane.stale = True
        await office.ask(connections.deactivate, str(connection.uid), "test", office.clock())
        for message in posted:
            await office.until(message, "held")
    assert sink.accepted == []


def claim_and_die(connection, now):
    """A courier took the lane and a delivery; its lease is free now."""
    (lease,) = leases.take("a courier that died", now)
    assert queue.claim(lease, 10, now)
    leases.give_back("a courier that died")


@pytest.mark.parametrize("seen", [False, True])
async def test_l08_what_a_dead_courier_left_is_found_though_the_database_goes_as_its_lane_is_taken(
    office, sink, seen, monkeypatch
):
    """It goes before the answer to the taking came, or between the taking and the recovery."""
    monkeypatch.setattr(leases, "RENEWED_EVERY", timedelta(seconds=0.3))
    connection = await office.connect(sink)
    message = await office.post()
    await office.ask(claim_and_die, connection, office.clock())
    left = [recovery.recover, leases.let_go] if seen else [leases.take]
    async with office.courier() as worker:
        run = worker.engine.threads.run

        async def ask(function, *arguments, **named):
            answer = None if seen and function in left else await run(function, *arguments, **named)
            if function in left:
                left.remove(function)
                raise OperationalError("the server closed the connection unexpectedly")
            return answer

        worker.engine.threads.run = ask
        await office.until(message, "accepted")
    assert not left
    assert len(sink.accepted) == 1


async def test_sessions_at_work_of_a_lane_that_was_lost_count_in_the_next_ones_limit(
    office, sink, monkeypatch
):
    monkeypatch.setattr(leases, "RENEWED_EVERY", timedelta(seconds=0.2))
    sink.hooks = {"content": lambda moment: Answer("250 2.0.0 taken", delay=1.0)}
    connection = await office.connect(sink, limits={"max_sessions": 1})
    first = await office.post("first@example.com")
    async with office.courier() as worker:
        await office.until_true(lambda: Delivery.objects.filter(staged_at__isnull=False).exists())
        second = await office.post("second@example.com")
        await office.ask(leases.let_go, worker.holder, connection.pk)
        await office.until(second, "accepted")
        await office.until(first, "accepted")
    assert sink.most_open == 1


async def test_l08_a_mark_that_was_granted_and_never_used_is_no_doubt_to_whoever_has_the_lane_then(
    office, sink, instead_of_commits
):
    """The machine slept behind the commit; somebody else had the lane, as far as anybody knows."""
    asleep = []
    instead_of_commits(losing_the_lane(lambda: asleep.append(100.0)))
    await office.connect(sink)
    message = await office.post()
    async with office.courier(boottime=lambda: system_boottime() + sum(asleep)):
        found = await office.until(message, "accepted")
    codes = [event.detail["code"] for event in await office.ask(lambda: list(Event.objects.order_by("pk")))]
    known = [code for code in codes if code != "in_doubt"]  # as it may be until the evidence comes
    assert known == ["accepted_here", "evidence", "attempt"]
    assert found["to@example.com"].doubts == 0
    assert len(sink.accepted) == 1


async def test_l08_a_mark_that_was_committed_unseen_and_never_used_is_no_doubt_to_whoever_has_the_lane_then(
    office, sink, instead_of_commits
):
    """The answer to the commit was lost with its connection; somebody else has the lane."""
    lost = []

    def lose():
        lost.append(True)
        raise OperationalError("the server closed the connection unexpectedly")

    instead_of_commits(losing_the_lane(lose))
    await office.connect(sink)
    message = await office.post()
    async with office.courier():
        found = await office.until(message, "accepted")
    assert lost == [True]
    assert found["to@example.com"].doubts == 0
    assert len(sink.accepted) == 1


def losing_the_lane(then):
    """A commit behind which, where it is the first with a mark, somebody else has the lane."""
    left = [then]

    def commit(entries, commit_as_ever):
        answers = commit_as_ever()
        if entries[0].marks and left:
            Lane.objects.update(epoch=F("epoch") + 1)
            left.pop()()
        return answers

    return commit
