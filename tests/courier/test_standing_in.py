"""A backup at work: through it while the first connection is out of order, only before the end of data, and home again."""

import asyncio
from datetime import timedelta

import structlog.testing

from scripted.behaviour import Answer
from scripted.sink import SinkServer
from vaguemestre.courier.watch import Watch
from vaguemestre.ledger.models import Connection, Event
from vaguemestre.mail.state import Health


async def pair(office, first, spare):
    """A default connection to one server, whose backup is at another."""
    backup = await office.connect(spare, name="Spare", sender_email="spare@example.org")
    return await office.connect(first, name="Office", backup=str(backup.uid), is_default=True)


def out_of_order(connection, clock, minutes, until):
    """Throttled for so long, and for so much longer."""
    Connection.objects.filter(pk=connection.pk).update(
        health="throttled", health_since=clock() - timedelta(minutes=minutes), health_until=clock() + until
    )


def health(connection):
    return Connection.objects.get(pk=connection.pk).health


def codes(message):
    found = Event.objects.filter(delivery__message=message).order_by("pk")
    return [event.detail["code"] for event in found]


async def test_what_a_locked_connection_was_to_carry_leaves_through_its_backup(office, sink):
    sink.hooks = {"mail": lambda moment: Answer("550 5.7.1 not your sender")}
    async with SinkServer() as spare:
        first = await pair(office, sink, spare)
        async with office.courier():
            message = await office.post()
            (delivery,) = (await office.until(message, "accepted")).values()
    assert (await office.ask(lambda: health(first))) == Health.LOCKED
    assert sink.accepted == []
    (taken,) = spare.accepted
    assert taken.mail == "spare@example.org"
    assert b"From: spare@example.org" in taken.content
    assert (delivery.connection.name, delivery.backup_for.name) == ("Spare", "Office")
    assert await office.ask(lambda: codes(message)) == ["accepted_here", "attempt", "backup", "attempt"]


async def test_that_a_backup_stands_in_is_told_as_it_begins_and_as_it_ends(office, sink):
    async with SinkServer() as spare:
        first = await pair(office, sink, spare)

        def become(state, **values):
            Connection.objects.filter(pk=first.pk).update(health=state, health_since=office.clock(), **values)

        watch = Watch(office.worker(threads=office.threads).engine)
        with structlog.testing.capture_logs() as told:
            for state, why in (("ready", ""), ("locked", "sign_in_refused"), ("locked", "x"), ("ready", "")):
                await office.ask(lambda state=state, why=why: become(state, health_why=why))
                await watch.backups(office.clock())
    assert [event["event"] for event in told] == ["backup_in_use", "alert", "backup_over"]


async def test_nothing_leaves_through_the_backup_after_the_end_of_data(office, sink):
    sink.hooks = {"content": lambda moment: Answer("", then="drop")}
    async with SinkServer() as spare:
        first = await pair(office, sink, spare)
        async with office.courier():
            message = await office.post()
            await office.until(message, "in_doubt")
            await office.ask(lambda: Connection.objects.filter(pk=first.pk).update(health="locked"))
            office.clock.advance(minutes=20)
            await asyncio.sleep(1.5)
            delivery = await office.delivery(message)
    assert (delivery.state, delivery.connection.name, delivery.backup_for) == ("in_doubt", "Office", None)
    assert spare.accepted == []


async def test_at_the_end_of_a_long_throttle_one_message_probes_and_then_all_go_home(office, sink):
    async with SinkServer() as spare:
        first = await pair(office, sink, spare)
        await office.ask(lambda: out_of_order(first, office.clock, 30, timedelta(seconds=-1)))
        made = [await office.post(f"{number}@example.com") for number in range(5)]
        async with office.courier():
            for message in made:
                await office.until(message, "accepted")
            last = await office.post("last@example.com")
            await office.until(last, "accepted")
            assert await office.ask(lambda: health(first)) == Health.READY
    assert len(sink.accepted) + len(spare.accepted) == 6
    assert sink.contents("0@example.com")
    assert sink.contents("last@example.com")


async def test_a_probe_is_one_delivery_and_the_rest_of_its_message_waits_for_what_becomes_of_it(office, sink):
    answered = asyncio.Event()
    sink.hooks = {"content": lambda moment: Answer("250 2.0.0 taken", after=answered)}
    first = await office.connect(sink, name="Office", is_default=True)
    await office.ask(lambda: out_of_order(first, office.clock, 4, timedelta(seconds=-1)))
    names = [f"{number}@example.com" for number in range(4)]
    message = await office.post(*names)
    behind = await office.post("behind@example.com")
    async with office.courier():
        while not [said for _, said in sink.commands if said.startswith(("DATA", "BDAT"))]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        states = [found.state for found in (await office.deliveries(message)).values()]
        assert sorted(states) == ["claimed", "queued", "queued", "queued"]
        assert (await office.delivery(behind)).state == "queued"
        assert (sink.sessions, len([said for _, said in sink.commands if said.startswith("RCPT")])) == (1, 1)
        answered.set()
        for one in (message, behind):
            await office.until(one, "accepted")
    assert sorted(taken for one in sink.accepted for taken in one.recipients) == [
        *names,
        "behind@example.com",
    ]


async def test_a_throttled_connection_keeps_its_mail_for_five_minutes(office, sink):
    async with SinkServer() as spare:
        first = await pair(office, sink, spare)
        await office.ask(lambda: out_of_order(first, office.clock, 4, timedelta(hours=1)))
        message = await office.post()
        async with office.courier():
            await asyncio.sleep(1.5)
            assert (await office.delivery(message)).state == "queued"
            office.clock.advance(minutes=2)
            await office.until(message, "accepted")
    assert (len(sink.accepted), len(spare.accepted)) == (0, 1)
