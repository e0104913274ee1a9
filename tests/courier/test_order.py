"""Messages of one connection are claimed in the order of their acceptance, while others are accepted, retried and in flight."""

import asyncio
import re
from uuid import UUID

import pytest

from scripted.sink import Answer
from vaguemestre.courier.supply import FIRST
from vaguemestre.ledger import queue
from vaguemestre.ledger.models import Attempt, Delivery

MESSAGES = 120


@pytest.fixture
def claims(monkeypatch):
    """Every claim of the courier: the keys of its messages, as often as each was claimed."""
    made, claim_as_ever = [], queue.claim

    def noted(*args, **whole):
        found = claim_as_ever(*args, **whole)
        made.append([claim.message_id for claim in found])
        return found

    monkeypatch.setattr(queue, "claim", noted)
    return made


def arrived(accepted):
    """The message's id, as our trace field has it."""
    return UUID(re.search(rb"\sid\s+([0-9a-f]{32});", accepted.content)[1].decode())


def first_times(claims):
    return list(dict.fromkeys(key for claim in claims for key in claim))


async def post_all(office, pause):
    posted = []
    for _ in range(MESSAGES):
        posted.append((await office.post()).pk)
        await asyncio.sleep(pause)
    return posted


async def all_accepted(office):
    await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == MESSAGES, 30)


async def test_by_one_session_they_arrive_in_the_order_of_acceptance(office, sink, claims):
    await office.connect(sink, limits={"max_sessions": 1})
    async with office.courier():
        posted = await post_all(office, 0.005)
        await all_accepted(office)
    assert first_times(claims) == posted
    assert len(claims) > 3
    found = await office.ask(lambda: dict(Delivery.objects.values_list("message__uid", "message_id")))
    assert [found[uid] for uid in map(arrived, sink.accepted)] == posted


async def test_by_several_sessions_and_with_retries_they_are_claimed_in_the_order_of_acceptance(
    office, sink, claims
):
    seen = []

    def every_seventh(moment):
        seen.append(moment)
        return Answer("451 4.3.0 not now") if len(seen) % 7 == 0 and len(seen) < MESSAGES else None

    sink.hooks = {"content": every_seventh}
    await office.connect(sink, limits={"max_sessions": 4})
    async with office.courier():
        posted = await post_all(office, 0.002)
        await office.until_true(lambda: Attempt.objects.count() == MESSAGES)
        office.clock.advance(minutes=2)
        await all_accepted(office)
    assert first_times(claims) == posted
    assert sum(map(len, claims)) > MESSAGES, "some were claimed again"


async def test_a_claim_asks_for_the_ranks_that_were_seen_and_behind_a_full_one_for_all(
    office, sink, monkeypatch
):
    """What has come of another rank since the look is not left behind by a lane that goes on claiming."""
    asked, claim_as_ever = [], queue.claim

    def noted(lease, limit, now, ranks, **whole):
        asked.append(ranks)
        return claim_as_ever(lease, limit, now, ranks, **whole)

    monkeypatch.setattr(queue, "claim", noted)
    await office.connect(sink, limits={"max_sessions": 1})
    for _ in range(FIRST + 1):
        await office.post()
    async with office.courier(look=60.0):
        await office.until_true(lambda: Delivery.objects.filter(state="accepted").count() == FIRST + 1)
    assert asked[:2] == [(1,), (0, 1, 2)]
