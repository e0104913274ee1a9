"""L7: a connection's fault never refuses mail; message and recipient faults never touch the connection."""

import asyncio

import pytest
from structlog.testing import capture_logs

from scripted.sink import DROP, Answer, SinkServer
from vaguemestre.courier.engine import LEASE_MARGIN
from vaguemestre.courier.lane import open_lane
from vaguemestre.ledger import connections, lanes, leases, messages, queue, verifications
from vaguemestre.ledger.models import Secret
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.state import Health


async def health(office, connection):
    return await office.ask(lambda: connections.find(str(connection.uid)))


async def until_health(office, connection, state):
    await office.until_true(lambda: connections.find(str(connection.uid)).health == state)
    return await health(office, connection)


async def test_u22_refused_credentials_lock_the_connection_and_refuse_no_mail(office):
    async with SinkServer(login="app", password="right", require_auth=True) as sink:
        connection = await office.connect(sink, login="app", password="wrong")
        async with office.courier():
            message = await office.post()
            locked = await until_health(office, connection, Health.LOCKED)
            await office.until(message, "queued")
            assert locked.health_why == "sign_in_refused"
            assert "535" in locked.health_text
            delivery = await office.delivery(message)
            assert (delivery.counted, delivery.trouble["why"]) == (0, "sign_in_refused")
            sessions = sink.sessions
            await office.ask(
                connections.edit, str(connection.uid), {"password": "right"}, "test", office.clock()
            )
            await office.until(message, "accepted")
        assert (sessions, len(sink.accepted)) == (1, 1)


async def test_a_successful_verification_unlocks(office, sink):
    sink.hooks = {"mail": lambda moment: Answer("550 5.7.1 not your sender")}
    connection = await office.connect(sink)
    async with office.courier():
        message = await office.post()
        await until_health(office, connection, Health.LOCKED)
        sink.hooks = {}

        def verified():
            found = connections.find(str(connection.uid))
            draft = connections.saved_draft(found)
            verifications.keep(draft.fingerprint, found, verifications.Record(ok=True), office.clock())

        await office.ask(verified)
        await office.until(message, "accepted")
    assert len(sink.accepted) == 1


@pytest.mark.parametrize("phase", ["greeting", "ehlo", "mail", "rcpt", "data"])
async def test_u25_a_421_throttles_the_connection_and_the_message_leaves_afterwards(office, sink, phase):
    refusals = [Answer("421 4.3.2 closing", then="drop")]
    sink.hooks = {phase: lambda moment: refusals.pop() if refusals else None}
    connection = await office.connect(sink)
    async with office.courier():
        message = await office.post()
        throttled = await until_health(office, connection, Health.THROTTLED)
        assert 55 <= (throttled.health_until - office.clock()).total_seconds() <= 60
        delivery = await office.delivery(message)
        assert (delivery.state, delivery.counted) == ("queued", 0)
        office.clock.advance(seconds=61)
        await office.until(message, "accepted")
        await until_health(office, connection, Health.READY)
    assert len(sink.accepted) == 1


async def test_a_delay_that_the_reply_names_is_the_throttles_time(office, sink):
    sink.hooks = {"mail": lambda moment: Answer("451 4.7.1 rate limit, try again in 300 seconds")}
    connection = await office.connect(sink)
    async with office.courier():
        await office.post()
        throttled = await until_health(office, connection, Health.THROTTLED)
    assert 290 <= (throttled.health_until - office.clock()).total_seconds() <= 300


async def test_three_broken_dialogues_running_throttle_and_each_is_counted(office, sink):
    office.schedule = type(office.schedule)(delays=(0.05,), then=0.05, jitter=0.0)
    sink.hooks = {"data": lambda moment: DROP}
    connection = await office.connect(sink)
    async with office.courier():
        message = await office.post()
        throttled = await until_health(office, connection, Health.THROTTLED)
        await office.until(message, "queued")
    assert throttled.health_why == "dialogue_broken"
    assert (await office.delivery(message)).counted == 3


async def test_a_refused_recipient_leaves_the_connection_ready(office, sink):
    sink.hooks = {"rcpt": lambda moment: Answer("550 5.1.1 no such user")}
    connection = await office.connect(sink)
    async with office.courier():
        for _ in range(4):
            await office.until(await office.post(), "refused")
    assert (await health(office, connection)).health == Health.READY


async def test_a_delivery_expires_when_its_counted_delays_add_up_to_the_retry_age(office, sink):
    office.schedule = type(office.schedule)(delays=(0.02,), then=0.02, jitter=0.0)
    sink.hooks = {"rcpt": lambda moment: Answer("450 4.2.1 busy")}
    await office.connect(sink)
    message = await office.post()
    await office.ask(lambda: message.delivery_set.update(retry_age=0.05))
    async with office.courier():
        await office.until(message, "expired")
    delivery = await office.delivery(message)
    assert (delivery.counted, delivery.last_code) == (4, 450)


async def test_u33_a_session_that_the_server_closed_while_idle_harms_no_message(office, sink):
    await office.connect(sink, limits={"max_sessions": 1})
    async with office.courier():
        await office.until(await office.post(), "accepted")
        drops = [Answer("421 4.4.2 idle", then="drop")]
        sink.hooks = {"mail": lambda moment: drops.pop() if drops else None}
        message = await office.post()
        await office.until(message, "accepted")
    assert (len(sink.accepted), sink.sessions) == (2, 2)
    assert (await office.delivery(message)).counted == 0


async def test_a_stuck_connection_does_not_slow_another(office, sink):
    async with SinkServer(hooks={"greeting": lambda moment: Answer("220 hi", delay=30)}) as stuck:
        office.timeouts = office.timeouts.at_most(5)
        await office.connect(stuck, name="Stuck", sender_email="stuck@example.org")
        await office.connect(sink, name="Swift", sender_email="swift@example.org")
        async with office.courier():
            await office.post(sender="stuck@example.org")
            started = office.clock()
            await office.until(await office.post(sender="swift@example.org"), "accepted", within=3)
            assert (office.clock() - started).total_seconds() < 2


async def test_a_delivery_past_its_expires_at_ends_even_while_it_waits_for_a_route(office, sink):
    from datetime import timedelta

    await office.connect(sink, active=False)
    message = await office.post(expires_at=office.clock() + timedelta(minutes=5))
    async with office.courier():
        office.clock.advance(minutes=6)
        await office.until(message, "expired")
    assert await office.ask(lambda: len(messages.events_of(messages.find(str(message.uid))))) == 2


async def test_l12_a_password_that_cannot_be_read_locks_the_connection_and_nothing_is_dialled(office):
    async with SinkServer(login="app", password="right", require_auth=True) as sink:
        connection = await office.connect(sink, login="app", password="right")
        await office.ask(lambda: Secret.objects.update(sealed=b"\0" * 60))
        async with office.courier():
            message = await office.post()
            locked = await until_health(office, connection, Health.LOCKED)
            assert locked.health_why == "secret_unreadable"
            assert (await office.delivery(message)).state == "queued"
            assert sink.sessions == 0
            await office.ask(
                connections.edit, str(connection.uid), {"password": "right"}, "test", office.clock()
            )
            await office.until(message, "accepted")


async def test_l12_a_lane_whose_new_password_cannot_be_read_begins_nothing_with_the_old_one(office, sink):
    connection = await office.connect(sink, login="app", password="right")
    engine = office.worker(threads=office.threads).engine
    (lease,) = await office.ask(leases.take, "a courier", office.clock())
    (facts,) = await office.ask(lanes.survey, office.clock())
    lane = await open_lane(engine, lease, facts)
    engine.renewed = engine.boottime()
    assert lane.may_begin()
    await office.ask(connections.edit, str(connection.uid), {"password": "other"}, "test", office.clock())
    await office.ask(lambda: Secret.objects.update(sealed=b"\0" * 60))
    (facts,) = await office.ask(lanes.survey, office.clock())
    await lane.update(facts, lease, 0.0)
    assert not lane.may_begin()
    assert (await health(office, connection)).health_why == "secret_unreadable"


async def test_a_lane_begins_nothing_where_its_lease_was_not_renewed_of_late(office, sink):
    await office.connect(sink)
    engine = office.worker(threads=office.threads).engine
    (lease,) = await office.ask(leases.take, "a courier", office.clock())
    (facts,) = await office.ask(lanes.survey, office.clock())
    lane = await open_lane(engine, lease, facts)
    for ago, begins in ((LEASE_MARGIN - 1, True), (LEASE_MARGIN, False)):
        engine.renewed = engine.boottime() - ago
        assert lane.may_begin() is begins


async def test_a_lock_that_is_still_to_be_recorded_outlasts_a_look_at_what_was_recorded_before_it(office):
    """One session breaks, another is refused the sender; between their two commits the ledger says READY."""
    breaking, told = asyncio.Event(), []

    def mail(moment):
        told.append(moment)
        first = len(told) == 1
        return DROP if first else Answer("550 5.7.1 not your sender", after=breaking)

    async with SinkServer(hooks={"mail": mail}) as sink:
        connection = await office.connect(sink, limits={"max_sessions": 2})
        for _ in range(2):
            await office.post()
        with capture_logs() as logs:
            async with office.courier(threads=LedgerThreads(1)) as worker:
                run = worker.engine.threads.run

                async def look(lane):
                    seen = lane.looked_at
                    while lane.looked_at == seen:
                        await asyncio.sleep(0.01)

                async def apart(function, *arguments, **named):
                    if function is queue.record_all:
                        (lane,) = worker._lanes.values()
                        states = [done.health.state for entry in arguments[0] for done in entry.reports]
                        breaking.set()
                        while lane.facts.health.state is not Health.LOCKED:
                            await asyncio.sleep(0.01)
                        if Health.LOCKED in states:
                            await look(lane)
                            await look(lane)
                    return await run(function, *arguments, **named)

                worker.engine.threads.run = apart
                await until_health(office, connection, Health.LOCKED)
                (lane,) = worker._lanes.values()
                await look(lane)
    changes = [entry["state"] for entry in logs if entry["event"] == "connection_health"]
    assert changes == ["locked"]
