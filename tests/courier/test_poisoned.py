"""Messages that no code of ours can carry: each waits by the schedule, at its own cost, and harms no other."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from upstream_fault import ACCEPTED, KEYWORDS, READY, End, everybody, facing, refused, retry

from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import leases, queue, recovery
from vaguemestre.ledger.models import Chunk, Delivery, Lane, Message

every_manner = pytest.mark.parametrize("manner", KEYWORDS)

OURS = "A fault of Vaguemestre itself ended this attempt; its log tells more. It is tried again later."
DIED = "The courier stopped before the message was handed over."
BARE = (
    "The message holds a line ending that is none, a bare CR or LF, which no server has to take. Have it made"
    " again by the program that wrote it."
)
LARGE = ("z" * 76 + "\r\n") * 9_000  # three chunks


def in_manner(manner, **hooks):
    return SinkServer(keywords=KEYWORDS[manner], hooks=hooks)


ROUTES = {
    "empty": {},
    "a list": [],
    "no sender": {"sender": None, "reply_to": None},
    "a number for a sender": {"sender": 7, "reply_to": None, "reverse_path": "office@example.org"},
    "no address for a reverse-path": {"sender": None, "reply_to": None, "reverse_path": "no address\r\nRSET"},
}


def spoil(message, **columns):
    Delivery.objects.filter(message=message).update(**columns)


def spoil_content(message, data):
    Chunk.objects.filter(message=message, position=0).update(data=data)
    Message.objects.filter(pk=message.pk).update(size=len(data))


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("manner", "kind"), [*(("data", kind) for kind in ROUTES), ("single", "a list"), ("bdat", "no sender")]
)
async def test_a_route_that_cannot_be_used_defers_its_message_alone(office, manner, kind):
    async with (
        in_manner(manner) as sink,
        facing(office, sink, queued=6, before=lambda queued: spoil(queued[4], route=ROUTES[kind])) as fault,
    ):
        ends = await fault.all_ends()
        assert ends.pop(4) == retry(OURS)
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[4]) == READY
        await asyncio.sleep(0.3)
        assert len(await fault.tried(fault.queued[4])) == 1
        await fault.later(seconds=61)
        assert await fault.end(fault.queued[4], attempts=2) == retry(OURS, 300.0, counted=2, spent=360.0)
    assert everybody(sink) == [f"r{number}@example.com" for number in (0, 1, 2, 3, 5)]


CONTENTS = [
    b"Subject: x\r\n\r\nbare\nline feed",
    b"Subject: x\r\n\r\nbare\rreturn\r\n",
    b"no field at all\r\n\r\nbody",
    b"\xff\xfe\0",
]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("manner", "data"),
    [*(("data", data) for data in CONTENTS), ("single", CONTENTS[0]), ("bdat", CONTENTS[1])],
)
async def test_a_content_that_must_not_leave_defers_its_message_alone(office, manner, data):
    async with (
        in_manner(manner) as sink,
        facing(office, sink, queued=6, before=lambda queued: spoil_content(queued[4], data)) as fault,
    ):
        ends = await fault.all_ends()
        spoilt = ends.pop(4)
        assert spoilt == (retry(OURS) if b"bare" in data else ACCEPTED)
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[4]) == READY
    assert len(sink.accepted) == 5 + (spoilt == ACCEPTED)


@pytest.mark.any_database
@every_manner
async def test_a_bare_line_feed_deep_in_a_large_content_refuses_its_message_alone(office, manner):
    def before(queued):
        chunk = Chunk.objects.get(message=queued[4], position=1)
        chunk.data = bytes(chunk.data)[:-100] + b"\n" * 100
        chunk.save()

    async with (
        in_manner(manner) as sink,
        facing(office, sink, queued=6, post={"text": LARGE}, before=before) as fault,
    ):
        ends = await fault.all_ends()
        assert ends.pop(4) == refused(BARE)
        assert ends == [ACCEPTED] * 5
        assert await fault.health(fault.queued[4]) == READY
        assert await fault.broken_running() == 0
    assert everybody(sink) == [f"r{number}@example.com" for number in (0, 1, 2, 3, 5)]


@every_manner
async def test_a_chunk_that_is_gone_midway_ends_its_message_alone(office, manner):
    def before(queued):
        Chunk.objects.filter(message=queued[4], position=2).delete()

    async with (
        in_manner(manner) as sink,
        facing(office, sink, queued=6, post={"text": LARGE}, before=before) as fault,
    ):
        others = fault.queued[:4] + fault.queued[5:]
        assert [await fault.end(message) for message in others] == [ACCEPTED] * 5
        await office.until(fault.queued[4], "expired")
        gone = End("expired", "The content is not kept any more.", "expired")
        assert await fault.end(fault.queued[4], attempts=0) == gone
        assert await fault.broken_running() == 0
    assert everybody(sink) == [f"r{number}@example.com" for number in (0, 1, 2, 3, 5)]


@pytest.mark.any_database
@pytest.mark.parametrize("reachable", [True, False])
async def test_a_recipient_that_is_no_address_defers_its_message_alone(office, reachable):
    """Whether the server takes our call or not."""
    hooks = {} if reachable else {"greeting": lambda _: Answer("421 not now", then="drop")}
    async with (
        SinkServer(hooks=hooks) as sink,
        facing(
            office, sink, queued=1, before=lambda queued: spoil(queued[0], recipient="no address\r\n")
        ) as fault,
    ):
        assert await fault.end(fault.queued[0]) == retry(OURS)
        sink.hooks = {}
        await fault.later(seconds=30)
        await fault.accepted(await fault.post("next@example.com"))
    assert everybody(sink) == ["next@example.com"]


async def test_a_poisoned_message_ends_when_its_retry_age_is_over(office):
    office.schedule = type(office.schedule)(delays=(0.05,), then=0.05, jitter=0.0)

    def before(queued):
        spoil(queued[0], route={}, retry_age=0.1)

    async with SinkServer() as sink, facing(office, sink, queued=1, before=before) as fault:
        await office.until(fault.queued[0], "expired")
        end = await fault.end(fault.queued[0], attempts=3)
        assert end == End("expired", OURS, "expired", 0.0, counted=3, spent=pytest.approx(0.1))
    assert sink.accepted == []


# Couriers that die


def die(now, number):
    """A courier recovers its lanes, claims what is there, and dies before any end of data."""
    for lease in leases.take(f"another-boot pid:[0] {number} {number} aa", now):
        recovery.recover(lease, now)
        Delivery.objects.filter(state="queued").update(next_attempt_at=now)
        queue.claim(lease, 10, now)
    Lane.objects.update(renewed_at=now - timedelta(seconds=16))


@pytest.mark.parametrize(("deaths", "wait"), [(1, None), (2, 60.0), (3, 300.0)])
async def test_a_delivery_whose_couriers_died_running_waits_by_the_schedule(office, deaths, wait):
    def before(queued):
        died_at.append(office.clock())
        for number in range(deaths):
            die(office.clock(), number)

    died_at = []
    async with SinkServer() as sink, facing(office, sink, queued=1, before=before) as fault:
        if wait is None:
            await fault.accepted(fault.queued[0])
            assert everybody(sink) == ["r0@example.com"]
            return
        await office.until(fault.queued[0], "queued")
        delivery = await office.delivery(fault.queued[0])
        assert 0 <= (delivery.next_attempt_at - died_at[0]).total_seconds() - wait < 5
        assert (delivery.orphaned, delivery.counted) == (deaths, 0)
        end = await fault.end(fault.queued[0], attempts=0)
        assert (end.outlook, end.text) == ("retry", DIED)
        assert sink.sessions == 0
        await fault.later(seconds=wait + 5)
        await fault.accepted(fault.queued[0])
        assert (await office.delivery(fault.queued[0])).orphaned == 0
    assert everybody(sink) == ["r0@example.com"]
