"""The product's own weekly report: its schedule, its figures, and that it goes out once."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from ledger.kit import (
    ACTOR,
    accepted,
    at_once,
    claimed,
    connect,
    fault_codes,
    fresh,
    in_doubt,
    on_postgresql,
    post,
    report,
    settle,
)
from vaguemestre.ledger import connections, figures, instance, report_schedule, templates, weekly
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Delivery, Message, ReportSchedule, Version
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.reporting import days_before

PARIS = ZoneInfo("Europe/Paris")
MONDAY = date(2026, 11, 23)
WEEK = days_before(MONDAY)
DUE_AT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # 8:00 in Paris
CHOSEN = {
    "active": True, "recipients": ["claire@example.org", "tom@example.org"], "weekday": 0, "hour": 8,
    "zone": "Europe/Paris", "language": "fr",
}  # fmt: skip


def choose(now=DUE_AT - timedelta(1), **values):
    return report_schedule.change(CHOSEN | values, ACTOR, now)


def counted(days=WEEK, zone=PARIS):
    return [figures.of_day(day, zone) for day in days]


def deliver(now=DUE_AT):
    """As a courier does it; the message, or None."""
    due = report_schedule.due(now)
    sent = None if due is None else weekly.send_due(due, counted(days_before(due.day), due.zone), now)
    return None if sent is None else sent.message


def mail_of(message):
    return message_from_bytes(content_of(message).raw, policy=policy.default)


def noon(number):
    return datetime(2026, 11, number, 12, 0, tzinfo=UTC)


def history():
    """A week: three accepted, one refused, one in doubt, one queued, one held; and what is not of it."""
    office = connect("Office")
    post(now=datetime(2026, 11, 15, 22, 59, tzinfo=UTC))  # Sunday in Paris
    accepted(office, datetime(2026, 11, 15, 22, 59, 30, tzinfo=UTC))
    post("a@example.com", now=datetime(2026, 11, 15, 23, 0, tzinfo=UTC), stream="invoices")  # Monday there
    accepted(office, noon(16))
    post("a@example.com", "b@example.com", now=noon(18), stream="support")
    accepted(office, noon(18))
    post(now=noon(19))
    lease, claim = claimed(office, noon(19))
    settle(lease, report(claim, DeliveryState.REFUSED, noon(19), Reply(550, "5.1.1 no")), noon(19))
    post(now=noon(20))
    in_doubt(office, noon(20))
    post(now=noon(22))
    connect("Other"), connections.edit("Other", {"active": False}, ACTOR, noon(22))
    post(now=noon(22), connection="Other", stream="invoices")
    post(now=datetime(2026, 11, 22, 23, 0, tzinfo=UTC))  # Monday again


@pytest.mark.django_db
def test_the_figures_of_a_week_are_exact():
    history()
    week = figures.week(counted())
    assert (week.messages, week.deliveries) == (6, 7)
    assert week.states() == {"accepted": 3, "refused": 1, "in_doubt": 1, "queued": 1, "held": 1}
    assert week.of("connection") == {
        "Office": {"accepted": 3, "refused": 1, "in_doubt": 1, "queued": 1},
        "": {"held": 1},
    }
    assert week.of("stream") == {
        "": {"refused": 1, "in_doubt": 1, "queued": 1},
        "invoices": {"accepted": 1, "held": 1},
        "support": {"accepted": 2},
    }
    assert week.daily({DeliveryState.ACCEPTED}) == (1, 0, 2, 0, 0, 0, 0)
    assert week.daily(figures.NOT_SENT) == (0, 0, 0, 1, 0, 0, 0)  # what is in doubt is neither
    assert (week.held, week.in_doubt) == (1, 0)  # the doubt is tried again by itself


@pytest.mark.django_db
def test_a_day_is_read_along_the_index_of_its_messages():
    if on_postgresql():
        pytest.skip("its planner reads a table of a few rows from end to end")
    with CaptureQueriesContext(database) as captured:
        figures.of_day(MONDAY, PARIS)
    (sql,) = [one["sql"] for one in captured if "CROSS JOIN" in one["sql"]]
    with database.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = [row[3] for row in cursor.fetchall()]
    assert any("SEARCH m USING" in step and "message_recent" in step for step in plan), plan
    assert any("SEARCH d USING INDEX" in step and "message_id=?" in step for step in plan), plan


@pytest.mark.django_db
def test_the_report_tells_the_week_in_words_pictures_and_a_table():
    history()
    choose(language="en")
    mail = mail_of(deliver())
    assert mail["Subject"].replace("\u2009", " ") == "Weekly mail report, Nov 16 \u2013 22, 2026"
    assert mail["To"] == "claire@example.org, tom@example.org"
    words = mail.get_body(("plain",)).get_content().splitlines()
    for line in (
        "Messages handed over: 6",
        "Recipients: 7",
        "Accepted by the server: 3",
        "Refused: 1",
        "In doubt: 1",
        "Mon 16: 1, Tue 17: 0, Wed 18: 2, Thu 19: 0, Fri 20: 0, Sat 21: 0, Sun 22: 0",
        "Messages that wait for a person now: 1 held, 0 in doubt.",
        "Office: accepted by the server: 3, refused: 1, in doubt: 1, queued: 1",
        "none yet: held: 1",
        "Support: accepted by the server: 2",
    ):
        assert line in words, words
    html = mail.get_body(("html",)).get_content()
    pictures = {part["Content-ID"]: part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert set(pictures) == {"<accepted@weekly-report>", "<failed@weekly-report>"}
    for name, part in pictures.items():
        assert f'src="cid:{name.strip("<>")}"' in html
        assert part.get_content().startswith(b"\x89PNG")
        assert part.get_content_disposition() == "inline"
    (table,) = mail.iter_attachments()
    rows = list(csv.DictReader(io.StringIO(table.get_payload(decode=True).decode("utf-8-sig"), newline="")))
    assert table.get_filename() == "vaguemestre-2026-11-16.csv"
    assert sum(int(row["deliveries"]) for row in rows) == 7
    assert rows[0] == {
        "day": "2026-11-16",
        "stream": "invoices",
        "connection": "Office",
        "state": "accepted",
        "deliveries": "1",
    }


@pytest.mark.django_db
def test_a_connection_named_like_a_formula_stays_a_text_in_the_table():
    connect("=cmd()", sender_email="x@example.org")
    post(now=noon(18))
    choose()
    (table,) = mail_of(deliver()).iter_attachments()
    assert b',"\'=cmd()",' in table.get_payload(decode=True)


@pytest.mark.django_db
def test_it_leaves_through_the_stream_of_reports_once_a_week():
    office = connect()
    choose()
    assert deliver(DUE_AT - timedelta(seconds=1)) is None
    message = deliver()
    assert (message.stream.key, message.via) == ("reports", "report")
    assert fresh(message).added == {"auto_submitted": "auto-generated"}
    assert {one.connection for one in Delivery.objects.all()} == {office}
    for hours in (0, 1, 15):
        assert deliver(DUE_AT + timedelta(hours=hours)) is None
    assert deliver(DUE_AT + timedelta(7)) is not None
    assert Message.objects.count() == 2
    assert report_schedule.find().message == Message.objects.latest("pk")


@pytest.mark.django_db
def test_an_hour_that_no_courier_was_there_for_is_caught_up_within_the_day():
    connect()
    choose()
    assert deliver(DUE_AT + timedelta(hours=15, minutes=59)) is not None
    assert deliver(DUE_AT + timedelta(7, hours=16)) is None  # Tuesday


@pytest.mark.django_db(transaction=True)
def test_of_two_couriers_that_look_at_once_one_sends():
    connect()
    choose()
    due, days = report_schedule.due(DUE_AT), counted()
    answers = at_once([lambda: weekly.send_due(due, days, DUE_AT)] * 2)
    assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "Sent"]
    assert Message.objects.count() == 1


@pytest.mark.django_db
def test_what_was_switched_off_meanwhile_is_not_sent():
    connect()
    choose()
    due = report_schedule.due(DUE_AT)
    choose(active=False)
    assert weekly.send_due(due, counted(), DUE_AT) is None
    assert report_schedule.due(DUE_AT) is None
    assert Message.objects.count() == 0


@pytest.mark.django_db
def test_without_a_route_it_is_held_and_still_sent_once():
    choose()
    assert deliver() is not None
    assert deliver() is None
    assert set(Delivery.objects.values_list("state", flat=True)) == {"held"}


@pytest.mark.django_db
def test_where_a_template_of_ones_own_cannot_write_it_the_starter_does_and_that_is_told():
    connect()
    choose()
    own = {"subject": "{{ nosuch }}", "text": "x", "stream": "reports"}
    templates.save("report", "fr", own, ACTOR, DUE_AT)
    due = report_schedule.due(DUE_AT)
    sent = weekly.send_due(due, counted(days_before(due.day), due.zone), DUE_AT)
    assert mail_of(sent.message)["Subject"].startswith("Rapport hebdomadaire des emails")
    assert "nosuch" in str(sent.refusal)
    with pytest.raises(Refusal):  # who asks for one's own now sees what is wrong
        weekly.send_now(Mailbox.parse("claire@example.org"), "fr", DUE_AT)
    templates.save("report", "fr", own | {"subject": "{{ title }}"}, ACTOR, DUE_AT)
    later_on = DUE_AT + timedelta(7)
    due = report_schedule.due(later_on)
    sent = weekly.send_due(due, counted(days_before(due.day), due.zone), later_on)
    assert sent.refusal is None


@pytest.mark.django_db
def test_a_person_gets_it_now_and_the_schedule_stays_as_it_is():
    connect()
    message = weekly.send_now(Mailbox.parse("claire@example.org"), "en", DUE_AT)
    subject = mail_of(message)["Subject"].replace("\u2009", " ")
    assert subject == "Weekly mail report, Nov 16 \u2013 22, 2026"
    assert ReportSchedule.objects.count() == 0
    choose()
    assert deliver() is not None


@pytest.mark.django_db
def test_nobody_gets_it_until_somebody_says_so():
    assert not report_schedule.find().active
    assert report_schedule.due(DUE_AT) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"recipients": []}, {("recipients", "report_recipients")}),
        ({"recipients": ["claire@example.org", "nobody"]}, {("recipients", "address_syntax")}),
        ({"weekday": 7}, {("weekday", "weekday")}),
        ({"hour": "24"}, {("hour", "report_hour")}),
        ({"hour": "²"}, {("hour", "report_hour")}),
        ({"zone": "Europe/Lutetia"}, {("zone", "zone_unknown")}),
        ({"zone": "../../etc/passwd"}, {("zone", "zone_unknown")}),
        ({"zone": "\0"}, {("zone", "zone_unknown")}),
        ({"language": "tlh"}, {("language", "language_unknown")}),
        ({"recipients": [f"a{n}@example.org" for n in range(51)]}, {("recipients", "report_recipients_many")}),
    ],
)  # fmt: skip
def test_what_cannot_be_scheduled_is_refused_at_its_field(values, expected):
    with pytest.raises(Refusal) as refused:
        choose(**values)
    assert fault_codes(refused.value) == expected
    assert ReportSchedule.objects.count() == 0


@pytest.mark.django_db
def test_other_recipients_do_not_move_the_hour_and_another_hour_counts_from_now():
    connect()
    choose()
    choose(recipients=["lea@example.org", "lea@example.org"], now=DUE_AT + timedelta(minutes=5))
    due = report_schedule.due(DUE_AT + timedelta(minutes=6))
    assert due.recipients == ("lea@example.org",)
    choose(hour=7, now=DUE_AT + timedelta(minutes=5))
    assert report_schedule.due(DUE_AT + timedelta(minutes=6)) is None
    assert Version.objects.filter(kind="setting", subject="weekly_report").count() == 3
    assert instance.settings()["default_mode"] == "override"
