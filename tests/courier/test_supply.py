"""What is claimed ahead: never more than goes out within some seconds."""

import asyncio

from scripted.sink import Answer, SinkServer
from vaguemestre.courier import supply
from vaguemestre.ledger import queue
from vaguemestre.ledger.models import Delivery


def claimed():
    return Delivery.objects.filter(state="claimed").count()


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
