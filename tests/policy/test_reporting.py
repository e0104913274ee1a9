"""When a weekly report is due, in zones where clocks jump."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from vaguemestre.policy.reporting import Schedule, bounds, days_before, due_day, next_at

PARIS = ZoneInfo("Europe/Paris")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MONDAY = date(2026, 11, 23)


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def schedule(weekday=0, hour=8, zone=PARIS, since=LONG_AGO, sent_for=None):
    return Schedule(weekday, hour, zone, since, sent_for)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-23T06:59:59", None),  # 7:59:59 in Paris
        ("2026-11-23T07:00:00", MONDAY),
        ("2026-11-23T22:59:59", MONDAY),  # missed, and caught up until midnight
        ("2026-11-23T23:00:00", None),  # Tuesday
        ("2026-11-22T12:00:00", None),
    ],
)
def test_it_is_due_from_its_hour_until_the_end_of_its_day(now, due):
    assert due_day(schedule(), at(now)) == due


def test_a_day_is_due_once():
    now = at("2026-11-23T12:00:00")
    assert due_day(schedule(sent_for=MONDAY), now) is None
    assert due_day(schedule(sent_for=MONDAY), now + timedelta(7)) == MONDAY + timedelta(7)
    # A clock or a zone that went back brings no second one.
    assert due_day(schedule(sent_for=MONDAY + timedelta(7)), now) is None


def test_an_hour_that_had_passed_when_it_was_chosen_is_not_caught_up():
    now = at("2026-11-23T12:00:00")
    assert due_day(schedule(since=at("2026-11-23T07:00:01")), now) is None
    assert due_day(schedule(since=at("2026-11-23T06:30:00")), now) == MONDAY


def test_an_hour_that_the_clocks_leave_out_is_the_moment_they_jump():
    sunday = schedule(weekday=6, hour=2)  # 2026-03-29 has no 2 o'clock in Paris
    assert due_day(sunday, at("2026-03-29T00:59:59")) is None
    assert due_day(sunday, at("2026-03-29T01:00:00")) == date(2026, 3, 29)


def test_an_hour_that_comes_twice_is_the_first():
    sunday = schedule(weekday=6, hour=2)  # 2026-10-25 has two of them
    assert due_day(sunday, at("2026-10-25T00:00:00")) == date(2026, 10, 25)
    assert due_day(schedule(6, 2, sent_for=date(2026, 10, 25)), at("2026-10-25T01:00:00")) is None


@pytest.mark.parametrize(
    ("zone", "monday_at_eight"),
    [
        ("Pacific/Auckland", "2026-11-22T19:00:00"),
        ("America/Los_Angeles", "2026-11-23T16:00:00"),
        ("Asia/Kathmandu", "2026-11-23T02:15:00"),
    ],
)
def test_the_hour_is_that_of_the_zone(zone, monday_at_eight):
    chosen, moment = schedule(zone=ZoneInfo(zone)), at(monday_at_eight)
    assert due_day(chosen, moment - timedelta(seconds=1)) is None
    assert due_day(chosen, moment) == MONDAY
    assert next_at(chosen, moment - timedelta(seconds=1)) == moment


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (MONDAY, 24)])
def test_days_follow_each_other_without_a_gap_whatever_the_clocks_do(day, hours):
    since, until = bounds(day, PARIS)
    assert until - since == timedelta(hours=hours)
    assert until == bounds(day + timedelta(1), PARIS)[0]


def test_it_tells_of_the_seven_days_before():
    assert days_before(MONDAY) == tuple(date(2026, 11, number) for number in range(16, 23))


def test_the_next_one_is_a_week_later_where_this_one_has_gone():
    chosen = schedule(sent_for=MONDAY)
    assert next_at(chosen, at("2026-11-23T12:00:00")) == at("2026-11-30T07:00:00")
    assert next_at(schedule(), at("2026-11-23T12:00:00")) == at("2026-11-23T12:00:00")


def test_a_report_of_a_clock_that_was_ahead_silences_none_of_now():
    now = at("2026-11-30T08:00:00")
    assert due_day(schedule(sent_for=MONDAY + timedelta(364)), now) == due_day(schedule(), now)
