"""What a courier looks after besides mail: behind it, one at a time, and each in its turn."""

from datetime import timedelta
from functools import partial

import pytest
import structlog

from scripted.client import loopback_network
from vaguemestre.courier.chores import Chores
from vaguemestre.courier.engine import Engine
from vaguemestre.ledger import messages, rerouting
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.models import Chunk, Lane
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState

pytestmark = pytest.mark.any_database


def chores_of(office, **engine):
    return Chores(Engine(loopback_network(), office.threads, now=office.clock, **engine), tuple)


async def ending(office):
    """One whose time is over."""
    message = await office.post(expires_at=office.clock() + timedelta(minutes=1))
    office.clock.advance(hours=1)
    return message


async def test_all_that_is_due_is_done_at_one_look_where_nobody_rings(office, sink):
    await office.connect(sink)
    chores, late = chores_of(office), await ending(office)
    await chores.look(office.clock(), trusted=True)
    assert (await office.delivery(late)).state == "expired"
    assert chores._due(trusted=True) == []


async def test_who_rings_waits_for_one_chore_at_most(office, sink):
    await office.connect(sink)
    chores, late = chores_of(office), await ending(office)
    chores._engine.wake()  # a ring that nobody has answered yet
    for done in range(1, 1 + len(chores._chores)):
        await chores.look(office.clock(), trusted=True)
        assert len(chores._due(trusted=True)) == len(chores._chores) - done
        assert (await office.delivery(late)).state == (
            "queued" if done == 1 else "expired"
        )  # it is the second


async def test_each_chore_has_its_turn_however_often_somebody_rings(office, sink):
    """Even where those before it are due again at once."""
    await office.connect(sink)
    message = await office.post()
    await office.ask(messages.cancel, str(message.uid), "test", office.clock())
    office.clock.advance(days=31)
    chores = chores_of(office, look=0.0)
    chores._engine.wake()
    for _ in chores._chores:
        assert await office.ask(Chunk.objects.count) == 1  # the sweep is the last
        await chores.look(office.clock(), trusted=True)
    assert await office.ask(Chunk.objects.count) == 0


async def test_what_is_to_be_done_soon_is_the_next(office, sink):
    await office.connect(sink)
    late = await ending(office)
    chores = chores_of(office)
    chores._engine.wake()
    chores.soon("expiry")
    await chores.look(office.clock(), trusted=True)
    assert (await office.delivery(late)).state == "expired"


async def test_in_what_may_be_a_copy_mail_is_routed_anew_and_nothing_ends(office, sink):
    await office.connect(sink)
    chores, late = chores_of(office), await ending(office)
    await chores.look(office.clock(), trusted=False)
    assert "routes" not in chores._due(trusted=True)
    assert len(chores._due(trusted=True)) == len(chores._chores) - 1
    assert (await office.delivery(late)).state == "queued"


async def test_what_ends_in_great_number_ends_look_after_look(office, sink, monkeypatch):
    await office.connect(sink)
    late = [await ending(office) for _ in range(3)]
    monkeypatch.setattr(rerouting, "expire", partial(rerouting.expire, limit=1))
    monkeypatch.setattr(rerouting, "BATCH", 1)
    chores = chores_of(office)
    for done in range(1, 4):
        await chores.look(office.clock(), trusted=True)
        assert [(await office.delivery(one)).state for one in late].count("expired") == done
        assert chores._engine.woken.is_set()  # the next look comes at once
        chores._due_at |= dict.fromkeys(chores._due_at.keys() - {"expiry"}, float("inf"))
        chores._engine.woken.clear()


async def test_a_look_that_began_long_ago_is_no_clock_that_was_set_back(office, sink):
    """As behind a slow disk, or a long chore."""
    await office.connect(sink)
    chores = chores_of(office)
    with structlog.testing.capture_logs() as logged:
        for ago in (0, 60, 0, 60):
            chores.soon("clock")
            await chores.look(office.clock() - timedelta(seconds=ago), trusted=True)
    assert "clock_set_back" not in [entry["event"] for entry in logged]


@pytest.mark.parametrize("running", [True, False], ids=["while a courier runs", "before it starts"])
async def test_a_clock_that_is_set_back_by_a_day_lets_nothing_wait_for_it(office, sink, running):
    connection = await office.connect(sink)

    async def post():
        """Accepted, throttled for a minute, and then it is yesterday."""
        now = office.clock()
        health = HealthState(Health.THROTTLED, "rate_limited", until=now + timedelta(seconds=0.5), since=now)
        await office.ask(keep_health, connection.pk, connection.version, health)
        message = await office.post()
        office.clock.advance(days=-1)
        return message

    message = None if running else await post()
    async with office.courier():
        if message is None:
            await office.until_true(lambda: Lane.objects.exclude(holder="").exists())
            message = await post()
        await office.until(message, "accepted")
