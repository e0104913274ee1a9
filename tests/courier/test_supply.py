"""What is claimed ahead: never more than goes out within some seconds."""

import asyncio

from scripted.sink import Answer, SinkServer
from vaguemestre.courier import supply
from vaguemestre.ledger.models import Delivery


def claimed():
    return Delivery.objects.filter(state="claimed").count()


async def test_a_server_that_takes_nothing_has_no_more_claimed_for_it_than_at_first(office, monkeypatch):
    """Claims that follow each other at once, since each is smaller than what sessions want, are no sign of speed."""
    monkeypatch.setattr(supply, "CLAIM", 24)
    ahead = supply.FIRST * 4 // 2 + supply.CLAIM  # the next claim is begun where half of it is left
    async with SinkServer(hooks={"content": lambda _: Answer("250 2.0.0 taken", delay=3)}) as sink:
        await office.connect(sink, limits={"max_sessions": 4})
        for number in range(100):
            await office.post(f"to{number}@example.com")
        async with office.courier(drain=0.1):
            await office.until_true(lambda: claimed() >= 2 * supply.CLAIM)
            await asyncio.sleep(0.5)
            # Each session has one in hand, and one behind it.
            assert await office.ask(claimed) <= ahead + 2 * 4
