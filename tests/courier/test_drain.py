"""L03: a courier that is told to end while a server that was quick has become slow. Nothing is left in doubt.

A second of the product is a fortieth of one here: the courier waits 24 of them, 20 for one answer.
"""

from collections import Counter
from datetime import timedelta
from time import sleep

import pytest
from upstream_fault import KEYWORDS, everybody

from scripted.sink import Answer, SinkServer
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.lane import Lane
from vaguemestre.ledger import leases, models, recovery
from vaguemestre.ledger.models import Delivery
from vaguemestre.smtp.flow import Limits

pytestmark = pytest.mark.any_database

SECOND = 1 / 40
SCALED = {"drain": 24 * SECOND, "answer": 20 * SECOND, "limits": Limits(patience=5 * SECOND)}


async def drained(office, sink, messages, stops):
    """Let a courier carry so many messages until a hook stops it; the states, and how many sessions it had.

    Args:
        office: of the test.
        sink: the server.
        messages: how many wait.
        stops: called with what ends the courier, before it begins.
    """
    await office.connect(sink, limits={"max_sessions": 1})
    for number in range(messages):
        await office.post(f"r{number}@example.com")
    async with office.courier(**SCALED) as worker:
        stops(worker.stop)
        await office.until_true(worker._stopping.is_set)
    return await office.ask(lambda: list(Delivery.objects.values_list("recipient", "state", "doubts")))


def settled(found, sink):
    """Nothing is in doubt, and what the server took is accepted."""
    states = Counter(state for _, state, _ in found)
    assert set(states) <= {"accepted", "queued"}, states
    assert sum(doubts for _, _, doubts in found) == 0
    assert everybody(sink) == sorted(recipient for recipient, state, _ in found if state == "accepted")


async def test_l03_a_server_that_slowed_down_to_four_seconds_an_answer_leaves_nothing_in_doubt(office):
    """Up to sixteen were in flight when it did. Those behind them are few enough for the drain."""
    ends, quick, slow = [], [0], []  # how many contents came together, before it slowed down and since

    def content(moment):
        windows = slow or quick
        windows[-1] += 1
        if not slow:
            return None
        if len(slow) == 2 and ends:
            ends.pop()()
        return Answer("250 2.0.0 taken", delay=4 * SECOND)

    def ehlo(moment):
        """It stands behind each window."""
        if slow or quick[-1] >= 12 or moment.transaction >= 80:
            slow.append(0)
        quick.append(0)

    async with SinkServer(keywords=KEYWORDS["bdat"], hooks={"content": content, "ehlo": ehlo}) as sink:
        settled(await drained(office, sink, 120, ends.append), sink)
    first, then, *_ = slow
    assert first >= 1
    assert 1 <= then <= 2


async def test_l03_a_server_that_takes_seven_seconds_for_every_answer_leaves_nothing_in_doubt(office):
    """With content behind RSET, MAIL and RCPT in one write it would take 28 until that is answered."""
    ends = []

    def slowly(moment):
        if moment.phase == "rset" and moment.transaction == 3 and ends:
            ends.pop()()
        return Answer("354 go on" if moment.phase == "data" else "250 ok", delay=7 * SECOND)

    hooks = dict.fromkeys(("mail", "rcpt", "content", "rset"), slowly)
    async with SinkServer(keywords=KEYWORDS["bdat"], hooks=hooks) as sink:
        settled(await drained(office, sink, 5, ends.append), sink)
        assert len(sink.accepted) == 3


async def test_l03_what_was_taken_stays_so_though_the_ehlo_behind_it_is_not_answered_before_the_end(office):
    """The answer to a message by itself stands, whatever is said behind it (U32)."""
    ends = []

    def ehlo(moment):
        if not (moment.transaction and ends):
            return None
        ends.pop()()
        return Answer("250 late", delay=30 * SECOND)

    async with SinkServer(keywords=KEYWORDS["bdat"], hooks={"ehlo": ehlo}) as sink:
        settled(await drained(office, sink, 2, ends.append), sink)
        assert len(sink.accepted) == 1


@pytest.mark.parametrize("broken", [(leases, "take"), (Lane, "cancel"), (Engine, "close")])
async def test_a_fault_of_ours_in_one_step_of_the_end_keeps_no_other_from_being_done(
    office, monkeypatch, broken
):
    async def awry(_):
        raise ValueError

    def wrong(*_):
        raise ValueError

    monkeypatch.setattr(leases, "RENEWED_EVERY", timedelta(seconds=0.1))
    slowly = {"content": lambda _: Answer("250 2.0.0 taken", delay=0.5)}
    async with SinkServer(hooks=slowly) as sink:
        await office.connect(sink)
        message = await office.post()
        async with office.courier() as worker:
            await office.until_true(lambda: Delivery.objects.filter(staged_at__isnull=False).exists())
            worker.stop()
            monkeypatch.setattr(*broken, wrong if broken[0] is leases else awry)
        assert (await office.delivery(message)).state == "accepted"
    assert await office.ask(lambda: list(models.Lane.objects.values_list("holder", flat=True))) == [""]


async def test_a_session_that_ends_while_the_rest_is_returned_is_waited_for_no_more(
    office, sink, monkeypatch
):
    sink.hooks = {"content": lambda moment: Answer("250 2.0.0 taken", delay=0.2)}
    put_back = recovery.put_back

    def slowly(*arguments):
        sleep(0.6)
        return put_back(*arguments)

    monkeypatch.setattr(recovery, "put_back", slowly)
    await office.connect(sink, limits={"max_sessions": 1})
    for number in range(3):
        await office.post(f"r{number}@example.com")
    async with office.courier() as worker:
        await office.until_true(lambda: Delivery.objects.filter(staged_at__isnull=False).exists())
        (lane,) = worker._lanes.values()
        await lane.drain()
        assert not lane.carrying
