"""When a weekly report is due, and which days it tells of: decisions of values and `now`.

A day is a day of the schedule's zone, from its midnight to the next one, whatever the clocks did in between
(23, 24 or 25 hours). An hour that the clocks leave out is the moment they jumped from, one that comes twice
is the first. A report that was missed at its hour is due until the end of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAYS = 7


@dataclass(frozen=True)
class Schedule:
    """The day of the week (0 is Monday) and the hour of a zone.

    Attributes:
        since: nothing that was due before is.
        sent_for: the day of the latest report.
    """

    weekday: int
    hour: int
    zone: tzinfo
    since: datetime
    sent_for: date | None = None


def due_day(schedule: Schedule, now: datetime) -> date | None:
    """The day whose report is due now; None while none is."""
    today = now.astimezone(schedule.zone).date()
    if today.weekday() != schedule.weekday:
        return None
    # One of long after today was sent by a clock that was ahead, and stands for none that is due now.
    if schedule.sent_for is not None and today <= schedule.sent_for <= today + timedelta(DAYS):
        return None
    return today if schedule.since <= moment(today, schedule.hour, schedule.zone) <= now else None


def next_at(schedule: Schedule, now: datetime) -> datetime:
    """When the next report is due: now, if one is."""
    if due_day(schedule, now) is not None:
        return now
    today = now.astimezone(schedule.zone).date()
    ahead = (moment(today + timedelta(days), schedule.hour, schedule.zone) for days in range(2 * DAYS))
    return next(at for at in ahead if at > now and at.astimezone(schedule.zone).weekday() == schedule.weekday)


def days_before(day: date) -> tuple[date, ...]:
    """The seven days that a report of this day tells of, the first first."""
    return tuple(day - timedelta(ago) for ago in range(DAYS, 0, -1))


def bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Where a day begins, and where the next one does."""
    return moment(day, 0, zone), moment(day + timedelta(1), 0, zone)


def moment(day: date, hour: int, zone: tzinfo) -> datetime:
    """An hour of a day, in UTC."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
