"""The three manners of writing transactions: each delivers every message once, in order, in its own grouping."""

from __future__ import annotations

import pytest

from scripted.client import SHORT, hop_to
from scripted.sink import SinkServer
from smtp.kit import MANNERS, Queue, numbered
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

BOTH = (*SinkServer.keywords, "CHUNKING")


@pytest.mark.parametrize("encryption", ["none", "starttls"])
@pytest.mark.parametrize("manner", MANNERS)
async def test_messages_leave_in_order_and_once(network, manner, encryption):
    async with SinkServer(keywords=BOTH, encryption=encryption) as sink:
        session = await open_session(hop_to(sink, encryption), network, SHORT)
        messages = numbered(40)
        flow = Queue(messages)
        await convey(session, flow, manner)
        assert session.reusable
        assert repr(session) == "<Session localhost IDLE 40 transactions>"
        await session.quit()
    assert sink.faults == []
    assert list(flow.results) == messages
    assert all(outcome.accepted for outcome in flow.outcomes)
    assert [taken.content for taken in sink.accepted] == [one.body.content for one in messages]
    assert [taken.recipients for taken in sink.accepted] == [(f"r{n}@example.org",) for n in range(40)]
    assert {result.manner for result in flow.results.values()} == {manner}
    assert [result.first for result in flow.results.values()] == [True] + [False] * 39
    assert flow.given_back == []
    assert sink.sessions == 1
