"""D11, L13: a courier that finds another database than it left sends nothing until a person says so."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection as database
from structlog.testing import capture_logs

from courier.chores_due import all_due
from courier.test_alerts import alerts_to
from scripted.behaviour import Answer
from scripted.web import WebServer
from vaguemestre import inode
from vaguemestre.courier.guard import Foreign
from vaguemestre.courier.main import MARK_FILE
from vaguemestre.ledger import installation, leases, sending
from vaguemestre.ledger.models import Attempt, Delivery, Installation
from vaguemestre.policy.installation import PauseWhy


@pytest.fixture
def mark(tmp_path):
    return tmp_path / MARK_FILE


def read(mark):
    return json.loads(mark.read_text())


def states():
    return sorted(Delivery.objects.values_list("state", flat=True))


async def row(office):
    return await office.ask(Installation.objects.values("identity", "place", "high_water").get)


async def paused(office):
    return await office.ask(sending.paused)


async def sends(office, mark, *, waited=None):
    """A courier's life, in which what is posted leaves."""
    async with office.courier(mark=mark):
        message = await office.post()
        await office.until(message, "accepted")
        if waited is not None:
            await office.until(waited, "accepted")


async def stays(office, mark, message):
    """A courier's life, in which it does not; the pause that it found or made."""
    async with office.courier(mark=mark) as worker:
        await office.until_true(lambda: sending.paused() is not None)
        for _ in range(3):
            await worker.turn()
        assert (await office.delivery(message)).state == "queued"
        return await paused(office)


async def resume(office):
    return await office.ask(sending.resume, "test", office.clock())


async def test_a_new_database_is_the_courier_s_own_and_its_mark_rises_while_it_sends(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    first = read(mark)
    kept = await row(office)
    assert re.fullmatch("[0-9a-f]{32}", first["identity"])
    assert first == {"identity": kept["identity"], "high_water": kept["high_water"]}
    assert kept["place"] == await office.ask(installation.place)
    assert (mark.stat().st_mode & 0o777, list(mark.parent.glob(f".{MARK_FILE}*"))) == (0o600, [])
    await sends(office, mark)
    assert read(mark)["high_water"] > first["high_water"]
    assert len(sink.accepted) == 2


async def test_the_mark_stays_while_nothing_is_sent(office, sink, mark):
    await office.connect(sink)
    worker = office.worker(mark=mark)
    await worker.turn()
    before = read(mark)
    for _ in range(5):
        all_due(worker)
        await worker.turn()
    assert read(mark) == before
    await office.ask(leases.give_back, worker.holder)
    worker.engine.threads.shutdown()


async def test_what_left_just_before_a_person_paused_it_is_marked(office, sink, mark):
    await office.connect(sink)
    async with office.courier(mark=mark):
        await office.until(await office.post(), "accepted")
        await office.ask(sending.pause, "test", office.clock())
    left = await office.ask(Attempt.objects.values_list("ended_at", flat=True).get)
    assert read(mark)["high_water"] >= installation.milliseconds(left)
    assert read(mark)["high_water"] == (await row(office))["high_water"]


async def test_d11_an_older_state_put_back_sends_nothing_and_says_since_when(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    backup = await row(office)
    office.clock.advance(hours=5)
    await sends(office, mark)
    reached = read(mark)["high_water"]
    await office.ask(Installation.objects.update, **backup)
    message = await office.post("again@example.com")
    pause = await stays(office, mark, message)
    assert (pause.why, pause.by) == (PauseWhy.OLDER, "courier")
    assert pause.facts == {"reached": reached, "left_off": backup["high_water"]}
    assert reached - backup["high_water"] >= 5 * 3600 * 1000
    assert (await stays(office, mark, message)) == pause  # however often it is started
    assert len(sink.accepted) == 2
    await resume(office)
    await sends(office, mark, waited=message)
    assert read(mark)["high_water"] > reached
    assert await paused(office) is None


async def test_l13_a_database_that_lies_elsewhere_sends_nothing_until_it_is_confirmed(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    await office.ask(Installation.objects.update, place="file=7 born=1 database=8")
    message = await office.post("again@example.com")
    assert (await stays(office, mark, message)).why is PauseWhy.ELSEWHERE
    async with office.courier(mark=mark):
        # A courier that waits goes on by itself.
        await resume(office)
        await office.until(message, "accepted")
    assert (await row(office))["place"] == await office.ask(installation.place)
    await sends(office, mark)
    assert len(sink.accepted) == 3


@pytest.mark.skipif(
    database.vendor == "postgresql", reason="its couriers come and go, with nothing that stays"
)
@pytest.mark.parametrize(
    ("written", "why"),
    [
        (None, PauseWhy.UNMARKED),
        ("torn {", PauseWhy.UNMARKED),
        ("[]", PauseWhy.UNMARKED),
        ('{"identity": "another", "high_water": 1}', PauseWhy.FOREIGN),
    ],
)
async def test_d11_an_embedded_database_without_its_mark_sends_nothing(office, sink, mark, written, why):
    await office.connect(sink)
    await sends(office, mark)
    mark.unlink()
    if written is not None:
        mark.write_text(written)
    message = await office.post("again@example.com")
    assert (await stays(office, mark, message)).why is why
    await resume(office)
    await sends(office, mark, waited=message)
    assert read(mark)["identity"] == (await row(office))["identity"]


@pytest.mark.skipif(database.vendor != "postgresql", reason="an embedded database has one courier")
async def test_d11_a_server_s_couriers_need_no_mark_and_one_of_another_installation_does_not_start(
    office, sink, mark, tmp_path
):
    await office.connect(sink)
    await sends(office, mark)
    await sends(office, tmp_path / "of-another-machine")
    foreign = tmp_path / "foreign"
    foreign.write_text('{"identity": "another", "high_water": 1}')
    with pytest.raises(Foreign, match="is that of another installation"):
        async with office.courier(mark=foreign) as worker:
            await worker.run()
    assert (await paused(office), foreign.read_text()) == (None, '{"identity": "another", "high_water": 1}')
    await sends(office, mark)


@pytest.mark.skipif(database.vendor != "postgresql", reason="of clusters and their databases")
async def test_the_place_of_a_server_s_database_is_its_cluster_and_number(office):
    assert re.fullmatch(r"cluster=[1-9][0-9]+ database=[1-9][0-9]+", await office.ask(installation.place))


@pytest.mark.skipif(database.vendor == "postgresql", reason="of files")
async def test_the_place_of_an_embedded_database_is_its_file(office):
    file = Path(database.settings_dict["NAME"])
    assert await office.ask(installation.place) == inode.named(file)


async def test_while_a_person_paused_it_what_has_an_end_expires(office, sink, mark):
    await office.connect(sink)
    async with office.courier(mark=mark):
        await office.ask(sending.pause, "test", office.clock())
        late = await office.post(expires_at=office.clock() + timedelta(minutes=1))
        office.clock.advance(hours=1)
        await office.until(late, "expired")
    assert sink.accepted == []


async def test_in_what_may_be_a_copy_nothing_expires(office, sink, mark):
    await office.connect(sink)
    async with office.courier(mark=mark) as worker:
        await office.ask(sending.pause, "courier", office.clock(), PauseWhy.ELSEWHERE)
        all_due(worker)
        await worker.turn()
        late = await office.post(expires_at=office.clock() + timedelta(minutes=1))
        office.clock.advance(hours=1)
        all_due(worker)
        await worker.turn()
        assert (await office.delivery(late)).state == "queued"
        await resume(office)
        await office.until(late, "expired")
    assert sink.accepted == []


async def test_what_was_claimed_when_the_pause_began_returns_unsent_and_leaves_once_it_ends(
    office, sink, mark
):
    go = asyncio.Event()
    sink.hooks = {"rcpt": lambda moment: Answer("250 2.1.5 Ok", after=go)}
    await office.connect(sink)
    for _ in range(3):
        await office.post()
    async with office.courier(mark=mark):
        await office.until_true(lambda: states() == ["claimed"] * 3)
        await office.ask(sending.pause, "test", office.clock())
        go.set()
        await office.until_true(lambda: states() == ["queued"] * 3)
        assert sink.accepted == []
        await resume(office)
        await office.until_true(lambda: states() == ["accepted"] * 3)
    assert len(sink.accepted) == 3


async def test_a_database_replaced_below_a_running_courier_stops_it(office, sink, mark):
    await office.connect(sink)
    async with office.courier(mark=mark) as worker:
        await office.until(await office.post(), "accepted")
        all_due(worker)
        await worker.turn()
        await office.ask(Installation.objects.update, high_water=1)
        all_due(worker)
        await worker.turn()
        assert (await paused(office)).why is PauseWhy.OLDER


async def test_a_mark_that_cannot_be_written_is_logged_and_mail_goes_on(office, sink, tmp_path):
    await office.connect(sink)
    with capture_logs() as logged:
        await sends(office, tmp_path / "gone" / MARK_FILE)
    told = [entry for entry in logged if entry["event"] == "mark_not_kept"]
    assert [(entry["log_level"], entry["error"]) for entry in told] == [
        ("error", "No such file or directory")
    ]
    assert len(sink.accepted) == 1


async def test_the_alert_url_is_told_of_what_may_be_a_copy_once_and_of_no_pause_by_hand(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    await office.ask(sending.pause_by_hand, "user:ada", office.clock())
    async with WebServer() as web, office.courier(mark=mark, alerts=alerts_to(web)) as worker:
        all_due(worker)
        await worker.turn()
        await office.ask(Installation.objects.update, place="file=7 born=1 database=8")
        for _ in range(3):
            all_due(worker)
            await worker.turn()
        (told,) = await web.arrived(1)
    assert (told["kind"], told["url"]) == ("sending_paused", "https://mail.example.org/sending/")
    assert told["what"].startswith("Sending is paused: this database does not lie where it lay")
    assert len(web.requests) == 1


async def test_a_courier_logs_each_pause_once_the_one_that_it_finds_at_its_start_too(office, mark):
    await office.ask(sending.pause, "cli:ada", office.clock())
    with capture_logs() as logged:
        async with office.courier(mark=mark) as worker:
            for act in (None, None, resume):
                if act is not None:
                    await act(office)
                all_due(worker)
                await worker.turn()
    told = [entry for entry in logged if entry["event"].startswith("sending_")]
    assert told == [
        {"event": "sending_paused", "why": "by_hand", "by": "cli:ada", "log_level": "warning"},
        {"event": "sending_resumed", "log_level": "info"},
    ]


async def test_a_pause_by_hand_hides_no_copy(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    await office.ask(sending.pause_by_hand, "user:ada", office.clock())
    await office.ask(Installation.objects.update, place="file=7 born=1 database=8")
    message = await office.post("again@example.com")
    async with office.courier(mark=mark) as worker:
        await office.until_true(lambda: sending.paused().why is PauseWhy.ELSEWHERE)
        all_due(worker)
        await worker.turn()
        assert (await office.delivery(message)).state == "queued"
    assert len(sink.accepted) == 1


async def test_d11_a_backup_of_a_version_before_marks_beside_a_mark_sends_nothing(office, sink, mark):
    await office.connect(sink)
    await sends(office, mark)
    await office.ask(Installation.objects.all().delete)
    message = await office.post("again@example.com")
    assert (await stays(office, mark, message)).why is PauseWhy.ELSEWHERE
    await resume(office)
    await sends(office, mark, waited=message)


async def test_a_courier_killed_before_its_first_mark_was_written_is_no_copy(office, sink, mark):
    await office.connect(sink)
    await office.ask(installation.raise_mark, office.clock())
    await sends(office, mark)
    assert read(mark)["identity"] == (await row(office))["identity"]


async def test_no_chore_is_done_before_the_guard_has_looked(office, sink, mark):
    """Its first look failed, say, since the database was away."""
    await office.connect(sink)
    late = await office.post(expires_at=office.clock() + timedelta(minutes=1))
    office.clock.advance(hours=1)
    worker = office.worker(mark=mark)
    worker._renewal_due_at = float("inf")
    await worker.turn()
    assert (await office.delivery(late)).state == "queued"
    all_due(worker)
    await worker.turn()
    assert (await office.delivery(late)).state == "expired"
    await office.ask(leases.give_back, worker.holder)
    worker.engine.threads.shutdown()
