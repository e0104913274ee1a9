"""The weekly report as couriers send it: once, whichever of them looks, whenever they start."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from vaguemestre.ledger import report_schedule, templates
from vaguemestre.ledger.models import Message
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.any_database
DUE_AT = datetime(2026, 11, 30, 7, 0, 5, tzinfo=UTC)  # a Monday; 8:00:05 in Paris
CHOSEN = {
    "active": True, "recipients": ["claire@example.net"], "weekday": 0, "hour": 8,
    "zone": "Europe/Paris", "language": "en",
}  # fmt: skip


def set_clock(office, at):
    office.clock.offset = at - datetime.now(UTC)


def reports():
    return list(Message.objects.filter(via="report").order_by("pk"))


async def test_two_couriers_and_a_restart_send_it_once_a_week(office, sink):
    set_clock(office, DUE_AT - timedelta(1))
    await office.connect(sink)
    await office.ask(report_schedule.change, CHOSEN, "test", office.clock())
    set_clock(office, DUE_AT)
    async with office.courier(), office.courier():
        await office.until_true(lambda: len(reports()) == 1)
        await office.until((await office.ask(reports))[0], DeliveryState.ACCEPTED)
    async with office.courier() as again:
        assert not await again._chores._watch.weekly_report(office.clock())
    assert len(await office.ask(reports)) == 1
    assert len(sink.contents("claire@example.net")) == 1
    set_clock(office, DUE_AT + timedelta(7, hours=3))  # nobody was there at eight
    async with office.courier():
        await office.until_true(lambda: len(reports()) == 2)


async def test_its_days_are_counted_one_at_a_time_with_leases_renewed_in_between(office, sink):
    set_clock(office, DUE_AT - timedelta(1))
    await office.connect(sink)
    await office.ask(report_schedule.change, CHOSEN, "test", office.clock())
    set_clock(office, DUE_AT)
    worker = office.worker()
    counted = 0
    while await worker._chores._watch.weekly_report(office.clock()):
        assert await office.ask(reports) == []
        counted += 1
    assert counted == 7
    assert len(await office.ask(reports)) == 1
    worker.engine.threads.shutdown()


async def test_a_template_that_cannot_write_it_is_told_and_stops_nothing(office, sink):
    set_clock(office, DUE_AT - timedelta(1))
    await office.connect(sink)
    await office.ask(report_schedule.change, CHOSEN, "test", office.clock())
    own = {"subject": "{{ nosuch }}", "text": "x", "stream": "reports"}
    await office.ask(templates.save, "report", "en", own, "test", office.clock())
    set_clock(office, DUE_AT)
    with capture_logs() as told:
        async with office.courier():
            await office.until_true(lambda: len(reports()) == 1)
            await office.until(await office.post(), DeliveryState.ACCEPTED)
    (report,) = await office.ask(reports)
    assert report.subject.startswith("Weekly mail report")
    assert [one["kind"] for one in told if one["event"] == "alert"] == ["template_unusable"]
    (why,) = [one["why"] for one in told if one["event"] == "template_not_used"]
    assert "Line 1 uses nosuch" in why
