"""D6: the server answered 250 and the database was gone. What is known outlives the courier, on its disk."""

import asyncio
import errno
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.db import connection as database
from structlog.testing import capture_logs

from cluster.postgresql import administer
from scripted.behaviour import Answer
from scripted.sink import SinkServer
from vaguemestre.courier import recorder
from vaguemestre.courier.outcomes import Outcomes
from vaguemestre.ledger import leases, queue
from vaguemestre.ledger.claims import Report, Settlement
from vaguemestre.ledger.database import on_postgresql
from vaguemestre.ledger.evidence import entry_of
from vaguemestre.ledger.models import Delivery, Event
from vaguemestre.ledger.sqlite.base import LOCK_SUFFIX
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState


class Away:
    """The database takes no results any more from the moment that it is told so."""

    def __init__(self):
        self.since = False
        self.refused = 0

    def commit(self, _, commit):
        if self.since:
            self.refused += 1
            raise OperationalError("the server closed the connection unexpectedly")
        return commit()


@pytest.fixture
def away(instead_of_commits):
    made = Away()
    instead_of_commits(made.commit)
    return made


def kept(folder):
    """What is on the disk, in any file of the folder."""
    return b"".join(path.read_bytes().strip(b"\0") for path in folder.iterdir())


async def until(question, within=8.0):
    async with asyncio.timeout(within):
        while not question():
            await asyncio.sleep(0.01)


async def test_d6_what_a_server_accepted_outlives_a_courier_that_could_not_record_it(
    office, sink, tmp_path, away
):
    await office.connect(sink)
    outcomes = Outcomes(tmp_path)
    async with office.courier(outcomes=outcomes) as worker:

        def gone(moment):
            away.since = True

        sink.hooks = {"content": gone}
        message = await office.post()
        await until(lambda: away.refused > 0 and kept(tmp_path))
        assert (await office.delivery(message)).state == "claimed"
    # It stopped without having recorded it: what it tried is broken off, its file is as a dead process leaves it.
    for writing in worker.engine.recorder._writers.values():
        writing.cancel()
    outcomes._file.unlock()

    away.since, sink.hooks = False, {}
    async with office.courier(outcomes=Outcomes(tmp_path)):
        found = await office.until(message, "accepted")
    assert len(sink.accepted) == 1
    delivery = found["to@example.com"]
    assert (delivery.doubts, delivery.last_code) == (0, 250)
    codes = [event.detail["code"] for event in await office.ask(lambda: list(Event.objects.order_by("pk")))]
    assert codes == ["accepted_here", "evidence"]
    assert not kept(tmp_path)


async def test_d6_nothing_more_is_sent_while_results_cannot_be_recorded(office, sink, tmp_path, away):
    await office.connect(sink)
    async with office.courier(outcomes=Outcomes(tmp_path)):

        def gone(moment):
            away.since = True

        sink.hooks = {"content": gone}
        first = await office.post()
        await until(lambda: away.refused > 1)
        second = await office.post()
        await asyncio.sleep(0.5)
        assert len(sink.accepted) == 1
        sink.hooks = {}
        away.since = False
        await office.until(first, "accepted")
        await office.until(second, "accepted")
    assert len(sink.accepted) == 2


FAULTS = [OSError(errno.EMFILE, "Too many open files"), MemoryError(), ValueError("a fault of ours")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_d6_no_acceptance_is_forgotten_where_a_commit_fails_otherwise_than_by_the_database(
    office, tmp_path, monkeypatch, fault
):
    """It is made again, or where that would fail again, what is known is settled apart; of every lane in it."""
    record_as_ever, failed = queue.record_all, []

    def record_all(entries, now):
        if not failed and sum(len(entry.reports) for entry in entries) > 1:
            failed.append(len(entries))
            raise fault
        return record_as_ever(entries, now)

    monkeypatch.setattr(queue, "record_all", record_all)
    async with SinkServer() as one, SinkServer() as two:
        await office.connect(one, sender_email="one@example.org")
        await office.connect(two, sender_email="two@example.org")
        senders = ["one@example.org", "two@example.org"] * 6
        posted = [await office.post(f"r{n}@example.com", sender=sender) for n, sender in enumerate(senders)]
        async with office.courier(outcomes=Outcomes(tmp_path)):
            for message in posted:
                await office.until(message, "accepted")
        carried = [path for sink in (one, two) for taken in sink.accepted for path in taken.recipients]
    assert failed
    assert sorted(carried) == sorted(f"r{number}@example.com" for number in range(12))
    assert not kept(tmp_path)


@pytest.fixture
def lock():
    """The lock file, and a way to keep everybody from opening it, as where no descriptor is left."""
    path = Path(database.settings_dict["NAME"] + LOCK_SUFFIX)

    def shut(_moment):
        path.unlink()
        path.mkdir()

    def open_():
        if path.is_dir():
            path.rmdir()

    yield SimpleNamespace(shut=shut, open=open_)
    open_()


@pytest.mark.skipif(on_postgresql(), reason="PostgreSQL needs no such lock")
async def test_d6_what_was_accepted_while_the_database_could_not_be_locked_is_recorded_once_it_can(
    office, sink, tmp_path, lock
):
    await office.connect(sink)
    async with office.courier(outcomes=Outcomes(tmp_path)):
        sink.hooks = {"content": lock.shut}
        message = await office.post()
        await until(lambda: kept(tmp_path))
        sink.hooks = {}
        lock.open()
        found = await office.until(message, "accepted")
    assert found["to@example.com"].doubts == 0
    assert len(sink.accepted) == 1


@pytest.mark.skipif(on_postgresql(), reason="there no lane shares its commits")
async def test_d6_a_report_that_nobody_can_read_costs_no_other_lane_its_acceptances(office, monkeypatch):
    """A fault of ours with it keeps the common commit from being made, and what is known of it from being told."""
    record_as_ever, poisoned, heard, both = queue.record_all, set(), set(), asyncio.Event()

    def record_all(entries, now):
        if not poisoned and len([entry for entry in entries if entry.reports]) > 1:
            poisoned.add(entries[0].reports[0].claim.attempt)
        if [one for entry in entries for one in entry.reports if one.claim.attempt in poisoned]:
            raise ValueError("a fault of ours")
        return record_as_ever(entries, now)

    def told(report):
        if report.claim.attempt in poisoned:
            raise ValueError("a fault of ours")
        return entry_of(report)

    def at_once(sink, _moment):
        """Both servers answer their first message in one moment, so that one commit has both ends."""
        heard.add(sink.port)
        if len(heard) == 2:
            both.set()
        return Answer("250 2.0.0 taken", after=both)

    monkeypatch.setattr(queue, "record_all", record_all)
    monkeypatch.setattr(recorder, "entry_of", told)
    async with SinkServer() as one, SinkServer() as two:
        await office.connect(one, sender_email="one@example.org")
        await office.connect(two, sender_email="two@example.org")
        for sink in (one, two):
            sink.hooks = {"content": partial(at_once, sink)}
        senders = ["one@example.org", "two@example.org"] * 6
        posted = [await office.post(f"r{n}@example.com", sender=sender) for n, sender in enumerate(senders)]
        async with office.courier():
            for message in posted:
                await office.until(message, "accepted", "in_doubt")
    assert poisoned
    doubtful = Delivery.objects.filter(state="in_doubt").values_list("attempt", flat=True)
    assert {attempt.hex for attempt in await office.ask(lambda: list(doubtful))} == poisoned


class NotNow:
    """PostgreSQL as it is behind a failover to a standby: it answers, and takes no writes."""

    def __init__(self):
        self.name = database.settings_dict["NAME"]

    def begin(self, _moment=None):
        self._set("on")

    def end(self):
        self._set("off")

    def _set(self, read_only):
        administer(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {read_only}")
        administer(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")


@pytest.mark.skipif(not on_postgresql(), reason="SQLite has no standby")
async def test_d6_what_was_accepted_while_the_database_took_no_writes_is_recorded_once_it_does(
    office, sink, tmp_path
):
    standby = NotNow()
    await office.connect(sink)
    try:
        async with office.courier(outcomes=Outcomes(tmp_path)):
            sink.hooks = {"content": standby.begin}
            message = await office.post()
            await until(lambda: kept(tmp_path))
            await asyncio.sleep(1.2)  # it looks at the database meanwhile
            sink.hooks = {}
            standby.end()
            await until(lambda: not kept(tmp_path))
    finally:
        standby.end()
    office.threads = LedgerThreads(4)  # the others were thrown out, too
    found = await office.until(message, "accepted")
    assert found["to@example.com"].doubts == 0
    assert len(sink.accepted) == 1


DEAD = " ".join([*leases.new_holder().split()[:2], "4194304", "1", "dead"])  # no process has that number


def died_knowing(folder, now):
    """What a courier leaves that claimed, marked, heard 250, kept it on its disk, and was killed then."""
    taken = leases.take(DEAD, now)
    reports = []
    for lease in taken:
        claims = queue.claim(lease, 1, now)
        queue.record(lease, [claim.mark(None) for claim in claims], [], now)
        for claim in claims:
            settled = [
                Settlement(duty.id, DeliveryState.ACCEPTED, Reply(250, "2.0.0 ok")) for duty in claim.duties
            ]
            reports.append(
                Report(claim, now, now, now, 1, "127.0.0.1", "", [], tuple(settled), None, offered=True)
            )
    outcomes = Outcomes(folder)
    outcomes.keep(reports)
    outcomes.close()
    return {duty.recipient for one in reports for duty in one.claim.duties}


async def test_d6_what_was_kept_is_settled_before_any_lane_is_worked_and_anything_is_claimed(
    office, tmp_path
):
    async with SinkServer() as one, SinkServer() as two:
        await office.connect(one, sender_email="one@example.org")
        await office.connect(two, sender_email="two@example.org")
        senders = ["one@example.org", "two@example.org"] * 3
        posted = [await office.post(f"r{n}@example.com", sender=sender) for n, sender in enumerate(senders)]
        known = await office.ask(died_knowing, tmp_path, office.clock())
        assert known == {"r0@example.com", "r1@example.com"}
        with capture_logs() as logged:
            async with office.courier(outcomes=Outcomes(tmp_path)):
                for message in posted:
                    await office.until(message, "accepted")
        carried = {path for sink in (one, two) for taken in sink.accepted for path in taken.recipients}
    # No server got again what it had; and nobody doubted it for a moment.
    assert carried == {f"r{number}@example.com" for number in range(2, 6)}
    assert await office.ask(lambda: list(Delivery.objects.values_list("doubts", flat=True).distinct())) == [0]
    told = [line["event"] for line in logged]
    assert told.index("outcomes_replayed") < told.index("lane_taken") < told.index("attempt_finished")
    codes = [event.detail["code"] for event in await office.ask(lambda: list(Event.objects.order_by("pk")))]
    assert codes == ["accepted_here"] * 6 + ["evidence"] * 2 + ["attempt"] * 4
    assert not kept(tmp_path)
