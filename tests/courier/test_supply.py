"""What is claimed ahead: never more than goes out within some seconds."""

import asyncio
import time

import pytest
from test_accepted import NOW, lane
from upstream_fault import KEYWORDS

from scripted.sink import Answer, SinkServer
from vaguemestre.courier import supply
from vaguemestre.courier.attempt import Attempt
from vaguemestre.ledger import contents, instance, queue
from vaguemestre.ledger.claims import Claim, Duty
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.identity import new_digits
from vaguemestre.ledger.models import Delivery, Event


def claimed():
    return Delivery.objects.filter(state="claimed").count()


def accepted():
    return Delivery.objects.filter(state="accepted").count()


async def test_a_server_that_takes_nothing_has_no_more_claimed_for_it_than_at_first(office, monkeypatch):
    """Claims that follow each other at once, since each is smaller than what sessions want, are no sign of speed."""
    monkeypatch.setattr(supply, "CLAIM_LIMIT", 24)
    ahead = supply.FIRST * 4 // 2 + supply.CLAIM_LIMIT  # the next claim is begun where half of it is left
    async with SinkServer(hooks={"content": lambda _: Answer("250 2.0.0 taken", delay=3)}) as sink:
        await office.connect(sink, limits={"max_sessions": 4})
        for number in range(100):
            await office.post(f"to{number}@example.com")
        async with office.courier(drain=0.1):
            await office.until_true(lambda: claimed() >= 2 * supply.CLAIM_LIMIT)
            await asyncio.sleep(0.5)
            # Each session has one in hand, and one behind it.
            assert await office.ask(claimed) <= ahead + 2 * 4


async def test_what_a_look_said_is_claimed_once(office, monkeypatch, sink):
    """Neither each message that goes out nor the session's end has it asked for once more."""
    claims, claim = [], queue.claim

    def counted(*arguments, **named):
        claims.append(claim(*arguments, **named))
        return claims[-1]

    monkeypatch.setattr(queue, "claim", counted)
    await office.connect(sink, limits={"max_sessions": 1})
    for number in range(8):
        await office.post(f"to{number}@example.com")
    async with office.courier(look=60.0) as worker:
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == 8)
        assert [len(found) for found in claims] == [8]
        await office.post()
        worker.engine.wake()
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == 9)
    assert [len(found) for found in claims] == [8, 1]


async def test_a_claim_that_fails_by_a_fault_of_ours_is_not_tried_hotly(office, monkeypatch, sink):
    asked = []
    monkeypatch.setattr(queue, "claim", lambda *arguments, **named: asked.append(1) or 1 // 0)
    await office.connect(sink)
    await office.post()
    async with office.courier(look=0.02):
        await office.until_true(lambda: asked)
        await asyncio.sleep(0.3)
    assert asked == [1]


async def test_beyond_a_limit_the_ledger_is_not_asked_at_every_look(office, monkeypatch, sink):
    asked, claim = [], queue.claim
    monkeypatch.setattr(
        queue, "claim", lambda *arguments, **named: asked.append(1) or claim(*arguments, **named)
    )
    await office.connect(sink, limits={"per_minute": 1})
    for number in range(3):
        await office.post(f"to{number}@example.com")
    async with office.courier(look=0.02):
        await office.until_true(lambda: accepted() == 1)
        await asyncio.sleep(0.1)
        asked.clear()
        await asyncio.sleep(0.3)
    assert len(asked) <= 1


async def test_a_clock_that_is_set_back_stops_no_lane(office, sink):
    await office.connect(sink)
    async with office.courier():
        await office.until(await office.post(), "accepted")
        office.clock.advance(hours=-1)
        await office.until(await office.post(), "accepted")
    assert len(sink.accepted) == 2


async def test_a_lane_of_one_session_that_was_slow_is_quick_again_as_soon_as_its_server_is(
    office, monkeypatch
):
    """One delivery at a time is no sign that there is no more."""
    monkeypatch.setattr(supply, "BRISK", 0.2)
    monkeypatch.setattr(supply, "SLOW", 0.3)
    slow = [True]

    def content(_):
        return Answer("250 2.0.0 taken", delay=0.4) if slow else None

    async with SinkServer(hooks={"content": content}) as sink:
        await office.connect(sink, limits={"max_sessions": 1})
        for number in range(70):
            await office.post(f"to{number}@example.com")
        monkeypatch.setattr(supply, "FIRST", 2)
        async with office.courier(look=5.0) as worker:
            await office.until_true(lambda: bool(worker._lanes))
            (lane,) = worker._lanes.values()
            async with asyncio.timeout(10):
                while lane._supply._ahead > 1:
                    await asyncio.sleep(0.02)
            slow.clear()
            await office.until_true(lambda: accepted() == 70, 20)
            assert lane._supply._ahead > 1


def bump():
    with writing():
        instance.bump()


@pytest.mark.parametrize("manner", ["data", "bdat"])
async def test_what_was_claimed_before_a_change_of_routes_is_let_go_and_leaves_in_its_turn(office, manner):
    """Each would be offered in vain, in DATA with its content, and come back behind all that is due since."""
    begun, goes_on = asyncio.Event(), asyncio.Event()

    def content(_):
        begun.set()
        return Answer("250 2.0.0 taken", after=goes_on)

    async with SinkServer(keywords=KEYWORDS[manner], hooks={"content": content}) as sink:
        await office.connect(sink, limits={"max_sessions": 1})
        for number in range(10, 30):
            await office.post(f"to{number}@example.com")
        async with office.courier() as worker:
            await begun.wait()
            (lane,) = worker._lanes.values()
            assert len(lane._supply) > 10
            epoch = lane.facts.routing_epoch
            await office.ask(bump)
            while lane.facts.routing_epoch == epoch:
                await asyncio.sleep(0.01)
            goes_on.set()
            await office.until_true(lambda: accepted() == 20)
        # In DATA the next one was in hand by then, to ride behind the dot of the first.
        rider = "to11@example.com" if manner == "data" else None
        order = [taken.recipients[0] for taken in sink.accepted if taken.recipients[0] != rider]
        assert order == sorted(order)
        offered = [line for _, line in sink.commands if line.startswith("RCPT")]
        assert len(offered) <= 21
        refused = Event.objects.filter(detail__trouble__why="stage_refused")
        assert await office.ask(refused.count) <= 1


async def test_an_end_that_comes_while_a_content_is_read_leaves_its_delivery_queued(
    office, sink, monkeypatch
):
    as_ever, loop, reading = contents.piece, asyncio.get_running_loop(), asyncio.Event()

    def slowly(*arguments):
        loop.call_soon_threadsafe(reading.set)
        time.sleep(0.1)
        return as_ever(*arguments)

    monkeypatch.setattr(contents, "piece", slowly)
    await office.connect(sink, limits={"max_sessions": 1})
    message = await office.post(text=("y" * 70 + "\r\n") * 60_000)
    async with office.courier(drain=0.1):
        await reading.wait()
    delivery = await office.delivery(message)
    assert (delivery.state, delivery.orphaned, delivery.counted) == ("queued", 0, 0)


def waiting(**values):
    return Attempt(Claim(new_digits(), 1, {}, 4, (Duty(1, "to@example.com", 0, 0.0, 9.0, 0),)), b"", **values)


def test_what_may_have_gone_out_is_in_hand_and_never_pulled_again():
    made, doubtful, next_ = lane(), waiting(staged_at=NOW), waiting()
    for attempt in (doubtful, next_):
        made.return_to_front(attempt)
    assert [made._supply.pull(NOW, 1, fresh=True) for _ in range(2)] == [next_, None]
    assert made.busy


def test_what_is_tried_again_on_a_new_session_waits_for_one():
    made, again = lane(), waiting(retried=True)
    made.return_to_front(again)
    assert [made._supply.pull(NOW, 1, fresh=fresh) for fresh in (False, True, True)] == [None, again, None]
