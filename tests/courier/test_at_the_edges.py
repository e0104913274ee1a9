"""What must not go wrong at the edges of a courier's work: outages, drains, edits, faults of our own."""

import asyncio
from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError

from scripted.sink import Answer, SinkServer
from vaguemestre.courier import carriage as carriages
from vaguemestre.courier import chores, recorder
from vaguemestre.courier import worker as workers
from vaguemestre.courier.outcomes import Outcomes
from vaguemestre.ledger import connections, lanes, messages, retention
from vaguemestre.ledger.models import Chunk
from vaguemestre.smtp.offer import Offer
from vaguemestre.smtp.pool import Pool


async def test_d6_what_is_accepted_later_in_an_outage_is_kept_too(office, sink, tmp_path, instead_of_commits):
    gone = Event()

    def commit(_, commit_as_ever):
        if gone.is_set():
            raise OperationalError("the server closed the connection unexpectedly")
        return commit_as_ever()

    instead_of_commits(commit)
    await office.connect(sink, limits={"max_sessions": 2})
    async with office.courier(outcomes=Outcomes(tmp_path)):
        first, second = await office.post("first@example.com"), await office.post("second@example.com")

        heard = []

        def content(moment):
            heard.append(moment)
            if len(heard) == 2:
                gone.set()  # both are marked; their answers come one after the other
            return Answer("250 2.0.0 late", delay=1.5 if "second@example.com" in moment.recipients else 0.9)

        sink.hooks = {"content": content}
        async with asyncio.timeout(8):
            while sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) < 2:
                await asyncio.sleep(0.02)
        gone.clear()
        await office.until(first, "accepted")
        await office.until(second, "accepted")
    assert len(sink.accepted) == 2


async def test_a_fault_in_an_outage_stops_only_the_lane_it_met(office, sink, instead_of_commits):
    left = [OperationalError("gone"), ValueError("a fault of ours")]

    def commit(entries, commit_as_ever):
        if left and entries[0].reports:
            raise left.pop(0)
        return commit_as_ever()

    instead_of_commits(commit)
    await office.connect(sink)
    async with office.courier() as worker:
        first = await office.post()
        await office.until(first, "accepted")  # whoever held the lane next was told what the server took
        second = await office.post()
        await office.until(second, "accepted")
        assert len(sink.accepted) == 2
        assert not worker.engine.recorder.away
    assert not left


async def set_once_it_drains(event, worker):
    while worker.engine.ends_at is None:
        await asyncio.sleep(0.02)
    event.set()


async def test_l03_nothing_is_marked_that_the_drain_may_not_see_answered(office, sink):
    """The content is written when the drain has less time left than a server may take: no dot follows."""
    await office.connect(sink)
    draining = asyncio.Event()
    sink.hooks = {"rcpt": lambda moment: Answer("250 2.1.5 ok", after=draining)}
    async with office.courier(drain=2.0) as worker:
        message = await office.post()
        async with asyncio.timeout(8):
            while not any(line.startswith("RCPT") for _, line in sink.commands):
                await asyncio.sleep(0.02)
        answered = asyncio.create_task(set_once_it_drains(draining, worker))
    await answered
    found = await office.until(message, "queued")
    assert found["to@example.com"].doubts == 0
    assert sink.accepted == []


async def test_contents_go_at_the_end_of_their_retention_however_many_there_are(office, monkeypatch):
    monkeypatch.setattr(chores, "SWEEP_AGAIN", 0.05)
    monkeypatch.setattr(retention, "BATCH", 1)
    for message in [await office.post() for _ in range(3)]:
        await office.ask(messages.cancel, str(message.uid), "test", office.clock())
    office.clock.advance(days=31)
    async with office.courier():
        await office.until_true(lambda: not Chunk.objects.exists())
    assert await office.ask(Chunk.objects.count) == 0


async def test_l03_a_drain_waits_as_long_as_it_may_for_what_is_not_written_yet(office, sink, monkeypatch):
    monkeypatch.setattr(workers, "RECORDING", 0.05)
    monkeypatch.setattr(recorder, "LULL", 0.5)  # for so long a result waits for company
    await office.connect(sink)
    async with office.courier():
        message = await office.post()
        async with asyncio.timeout(8):
            while not sink.accepted:
                await asyncio.sleep(0.02)
    assert (await office.delivery(message)).state == "accepted"


async def test_u22_a_refusal_of_the_old_password_does_not_lock_the_new_one(office):
    async with SinkServer(login="app", password="right-one-of-two") as sink:
        tried = []

        def slow(moment):
            tried.append(moment)
            return Answer("535 5.7.8 no", delay=0.6) if len(tried) == 1 else None

        sink.hooks = {"auth": slow}
        values = {"login": "app", "password": "wrong-one-of-two"}
        connection = await office.connect(sink, **values)
        async with office.courier():
            message = await office.post()
            async with asyncio.timeout(8):
                while not tried:
                    await asyncio.sleep(0.02)
            edited = {"password": "right-one-of-two"}
            await office.ask(connections.edit, str(connection.uid), edited, "test", office.clock())
            await office.until(message, "accepted")
        found = await office.ask(connections.find, str(connection.uid))
        assert found.health == "ready"


async def test_a_lane_that_cannot_be_opened_stops_no_other(office, sink, monkeypatch):
    async with SinkServer() as other:
        broken = await office.connect(other, sender_email="broken@example.org")
        await office.connect(sink)
        hop_of = lanes.hop_of

        def fault(connection_id):
            if connection_id == broken.pk:
                raise ValueError("a fault of ours")
            return hop_of(connection_id)

        monkeypatch.setattr(lanes, "hop_of", fault)
        async with office.courier():
            stuck = await office.post(sender="broken@example.org")
            message = await office.post(sender="office@example.org")
            await office.until(message, "accepted")
            assert (await office.delivery(stuck)).state == "queued"
        assert other.accepted == []


@pytest.mark.parametrize(("way", "said"), [("accepted", "250 2.0.0 taken"), ("judged", "550 5.7.1 no")])
async def test_a_fault_in_judging_loses_no_attempt(office, monkeypatch, way, said):
    left, judged = [RuntimeError("a fault of ours")], getattr(carriages, way)

    def fault(*arguments, **named):
        if left:
            raise left.pop()
        return judged(*arguments, **named)

    monkeypatch.setattr(carriages, way, fault)
    async with SinkServer(hooks={"content": lambda _: Answer(said)}) as sink:
        await office.connect(sink)
        async with office.courier():
            found = await office.until(await office.post(), "in_doubt")
            assert found["to@example.com"].trouble["why"] == "our_fault"
            await office.until(await office.post(), "accepted", "refused")


async def test_a_message_that_cannot_be_fitted_delays_no_other(office, monkeypatch):
    fit = Offer.fit

    async def fault(self, capabilities):
        if b"poison" in self.message.body.content:
            raise RuntimeError("a fault of ours")
        await fit(self, capabilities)

    monkeypatch.setattr(Offer, "fit", fault)
    for keywords in ((), ("PIPELINING",), ("PIPELINING", "CHUNKING")):
        async with SinkServer(keywords=keywords) as sink:
            sender = f"s{sink.port}@example.org"
            await office.connect(sink, limits={"max_sessions": 1}, sender_email=sender)
            texts = ["hello"] * 4 + ["poisoné"] + ["hello"] * 2  # the server announces no 8BITMIME
            posted = [await office.post(text=text, sender=sender) for text in texts]
            async with office.courier():
                for number, message in enumerate(posted):
                    await office.until(message, "queued" if number == 4 else "accepted")
                delivery = await office.delivery(posted[4])
                assert (delivery.trouble["why"], delivery.counted) == ("our_fault", 1)
            assert len(sink.accepted) == 6


async def test_a_session_carries_no_more_than_its_limit_in_any_window(office):
    async with SinkServer(keywords=("PIPELINING", "CHUNKING")) as sink:
        await office.connect(sink, limits={"max_sessions": 2})
        posted = [await office.post(f"r{number}@example.com") for number in range(60)]
        async with office.courier(pool=Pool(transaction_limit=20)):
            for message in posted:
                await office.until(message, "accepted")
        carried = [
            sum(one.session == session for one in sink.accepted) for session in range(1, sink.sessions + 1)
        ]
        assert max(carried) <= 20
        assert sum(carried) == 60


async def test_sessions_of_old_settings_are_not_left_open(office, sink):
    connection = await office.connect(sink, limits={"max_sessions": 2})
    async with office.courier():
        for number in range(4):
            message = await office.post()
            await office.until(message, "accepted")
            name = {"name": f"Office {number}"}
            await office.ask(connections.edit, str(connection.uid), name, "test", office.clock())
            await asyncio.sleep(0.3)
            assert sink.open_sessions <= 2


async def test_what_expires_in_a_couriers_hands_does_not_leave_any_more(office, sink):
    """It was claimed with what goes before it, and that took its time."""

    def slowly(moment):
        office.clock.advance(minutes=2)

    await office.connect(sink, limits={"max_sessions": 1})
    await office.post("first@example.com")
    late = await office.post("late@example.com", expires_at=office.clock() + timedelta(minutes=1))
    last = await office.post("last@example.com")
    sink.hooks = {"content": slowly}
    async with office.courier():
        await office.until(late, "expired")
        await office.until(last, "accepted")
    assert [one.recipients[0] for one in sink.accepted] == ["first@example.com", "last@example.com"]
