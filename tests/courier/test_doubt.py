"""L6: what may have arrived is in doubt, visibly, and never sent again in silence."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.kit import stage
from scripted.sink import LOST, Answer
from vaguemestre.ledger import connections, leases, messages, queue
from vaguemestre.ledger.models import Lane
from vaguemestre.ledger.refusals import Conflict


def once(answer):
    """The answer the first time, the usual one afterwards."""
    given = []

    def hook(moment):
        if given:
            return None
        given.append(moment)
        return answer

    return hook


async def test_u31_a_lost_reply_to_the_final_dot_is_in_doubt_and_retried_byte_identical_after_ten_minutes(
    office, sink
):
    sink.hooks = {"content": once(LOST)}
    await office.connect(sink)
    async with office.courier():
        message = await office.post()
        found = await office.until(message, "in_doubt")
        delivery = found["to@example.com"]
        assert delivery.doubt_reason == "connection_lost"
        assert 590 <= (delivery.next_attempt_at - office.clock()).total_seconds() <= 600
        office.clock.advance(minutes=11)
        await office.until(message, "accepted")
    first, second = sink.accepted
    assert first.content == second.content
    events = await office.ask(lambda: messages.events_of(messages.find(str(message.uid))))
    assert [event.state for event in events] == ["queued", "in_doubt", "accepted"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("354 go on", then="keep", accepted=True), "unexpected_code"),
        (Answer("25 ok", accepted=True), "malformed_reply"),
        (Answer("", delay=3, accepted=True), "timeout"),
        (Answer("", then="rst", accepted=True), "connection_lost"),
    ],
)
async def test_u31_any_indefinite_answer_to_the_final_dot_is_in_doubt(office, sink, answer, reason):
    office.timeouts = replace(office.timeouts, content=0.5)
    sink.hooks = {"content": once(answer)}
    await office.connect(sink)
    async with office.courier():
        message = await office.post(on_doubt="hold")
        found = await office.until(message, "in_doubt")
    delivery = found["to@example.com"]
    assert (delivery.doubt_reason, delivery.next_attempt_at) == (reason, None)
    assert sink.sessions == 1


@pytest.mark.parametrize(("reply", "state"), [("451 4.3.0 later", "queued"), ("554 5.6.0 no", "refused")])
async def test_u30_a_definite_no_to_the_final_dot_is_no_doubt(office, sink, reply, state):
    sink.hooks = {"content": once(Answer(reply))}
    await office.connect(sink)
    message = await office.post()
    async with office.courier():
        await office.until_true(lambda: messages.attempts_of(messages.find(str(message.uid))))
    delivery = await office.delivery(message)
    assert (delivery.state, delivery.doubts) == (state, 0)


async def test_a_refused_retry_returns_to_doubt_and_waits_for_a_person(office, sink):
    answers = iter([LOST, Answer("554 5.7.1 duplicate")])
    sink.hooks = {"content": lambda moment: next(answers, None)}
    await office.connect(sink)
    async with office.courier():
        message = await office.post()
        await office.until(message, "in_doubt")
        office.clock.advance(minutes=11)
        await office.until_true(lambda: len(messages.attempts_of(messages.find(str(message.uid)))) == 2)
    delivery = await office.delivery(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 1, None)
    assert delivery.last_text == "5.7.1 duplicate"


async def test_after_a_second_doubt_a_person_decides(office, sink):
    sink.hooks = {"content": lambda moment: LOST}
    await office.connect(sink)
    async with office.courier():
        message = await office.post()
        await office.until(message, "in_doubt")
        office.clock.advance(minutes=11)
        await office.until_true(lambda: len(messages.attempts_of(messages.find(str(message.uid)))) == 2)
        delivery = await office.delivery(message)
        assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 2, None)
        stale = {"attempt": "00000000-0000-7000-8000-000000000000"}
        with pytest.raises(Conflict) as conflict:
            await office.ask(messages.resolve, str(message.uid), "arrived", "user:a", office.clock(), **stale)
        assert conflict.value.code == "stale_attempt"
        await office.ask(messages.resolve, str(message.uid), "arrived", "user:a", office.clock())
    assert (await office.delivery(message)).state == "accepted"


async def test_invoices_in_doubt_wait_for_a_person_from_the_start(office, sink):
    sink.hooks = {"content": once(LOST)}
    await office.connect(sink)
    async with office.courier():
        message = await office.post(stream="invoices")
        found = await office.until(message, "in_doubt")
    assert found["to@example.com"].next_attempt_at is None


async def test_a_doubt_whose_route_would_now_be_another_waits_for_a_person(office, sink):
    sink.hooks = {"content": once(LOST)}
    connection = await office.connect(sink)
    async with office.courier():
        message = await office.post()
        await office.until(message, "in_doubt")
        await office.ask(connections.deactivate, str(connection.uid), "test", office.clock())
        office.clock.advance(minutes=11)
        await office.until_true(
            lambda: messages.deliveries_of(messages.find(str(message.uid)))[0].next_attempt_at is None
        )
    assert len(sink.accepted) == 1


async def test_no_dot_is_sent_when_the_stage_is_refused(office, sink):
    connection = await office.connect(sink)
    sink.hooks = {"data": lambda moment: Answer("354 go", delay=0.5)}
    async with office.courier():
        message = await office.post()
        await office.until(message, "claimed")
        await office.ask(connections.deactivate, str(connection.uid), "test", office.clock())
        await office.until(message, "held")
    assert sink.accepted == []
    assert b"\r\n.\r\n" not in bytes(sink.heard)


async def test_what_a_killed_courier_left_staged_is_in_doubt_and_the_rest_queued(office, sink):
    connection = await office.connect(sink)
    staged, unstaged = await office.post(), await office.post()

    def die():
        (lease,) = leases.take("another-boot pid:[0] 1 1 aa", office.clock())
        first, _ = queue.claim(lease, 10, office.clock())
        stage(lease, first, office.clock())
        # Its last renewal was longer ago than a lease lives.
        Lane.objects.update(renewed_at=office.clock() - timedelta(seconds=16))
        return lease

    lease = await office.ask(die)
    assert lease.connection_id == connection.pk
    sink.hooks = {"greeting": lambda moment: Answer("421 not now", then="drop")}
    async with office.courier():
        found = await office.until(staged, "in_doubt")
        await office.until(unstaged, "queued")
    assert found["to@example.com"].doubt_reason == "worker_died"


async def test_a_recipient_refused_at_rcpt_is_never_in_doubt_with_the_others(office, sink):
    sink.hooks = {"rcpt": lambda moment: Answer("450 4.2.1 busy") if "later@" in moment.argument else None}
    await office.connect(sink)
    message = await office.post("yes@example.com", "later@example.com")
    held = []

    def content(moment):
        held.append(moment)
        return Answer("", delay=30, accepted=True)

    sink.hooks |= {"content": content}
    async with office.courier() as worker:
        await office.until_true(lambda: held)
        (lane,) = worker._lanes.values()
        await lane.cancel()
    async with office.courier():
        await office.until_true(
            lambda: (
                {delivery.state for delivery in messages.deliveries_of(messages.find(str(message.uid)))}
                <= {"in_doubt", "queued"}
            )
        )
    found = await office.deliveries(message)
    assert (found["yes@example.com"].state, found["yes@example.com"].doubt_reason) == (
        "in_doubt",
        "forced_shutdown",
    )
    assert found["later@example.com"].state == "queued"


async def test_three_doubts_running_throttle_the_connection_before_it_makes_more(office, sink):
    sink.hooks = {"content": lambda moment: LOST}
    connection = await office.connect(sink)
    async with office.courier():
        for number in range(9):
            await office.post(f"r{number}@example.com")
        await office.until_true(lambda: connections.find(str(connection.uid)).health == "throttled")
        await asyncio.sleep(0.5)
    # The third ends it; what its two other sessions had begun by then may end in doubt as well.
    assert 3 <= len(sink.accepted) <= 5
