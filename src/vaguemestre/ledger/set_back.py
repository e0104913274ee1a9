"""A clock that was set back: what was written before lies in the future, and would wait for that to come.

What was written after the present moment waits no longer than the schedule gives what was tried as often: a
message that was never tried is due, a doubt waits its time. What was written before it waits as it did, also
where a server named a later time than the schedule. THROTTLED ends that much sooner by which the clock was
set. Times that submitters gave (`send_at`, `expires_at`), and limits of a minute and a day (`allowance`), are
left alone: these bound themselves. What a clock that was ahead ended meanwhile, such as an `expires_at`, has
ended.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from vaguemestre.ledger.database import execute, writing
from vaguemestre.ledger.models import Connection, Event
from vaguemestre.policy.schedule import RetrySchedule, next_delay

BATCH = 5_000  # deliveries of one transaction
SLACK = timedelta(seconds=5)  # by which the clocks of this installation's processes may differ

_SOONER = """
UPDATE ledger_delivery SET next_attempt_at = %(latest)s WHERE id IN (
  SELECT d.id FROM ledger_delivery d
  WHERE (d.state = 'queued' OR d.state = 'held' OR d.state = 'in_doubt')
    AND {which} AND d.next_attempt_at > %(beyond)s
    AND %(now)s < (SELECT max(e.at) FROM ledger_event e WHERE e.delivery_id = d.id)
  LIMIT %(limit)s
)
"""
_TRIED = "CASE WHEN d.orphaned > d.counted THEN d.orphaned ELSE d.counted END"
# It was due when that was written down, or when it was tried: else its submitter named the time.
_AT_ONCE = """EXISTS (
  SELECT 1 FROM ledger_event e WHERE e.delivery_id = d.id
    AND (e.at = d.next_attempt_at OR (e.at > d.next_attempt_at AND e.attempt IS NOT NULL))
)"""
_NEVER_TRIED = _SOONER.format(which=f"d.doubts = 0 AND {_TRIED} = 0 AND {_AT_ONCE}")
_TRIED_SO_OFTEN = _SOONER.format(which=f"d.doubts = 0 AND {_TRIED} = %(tried)s")
_TRIED_OFTEN = _SOONER.format(which=f"d.doubts = 0 AND {_TRIED} >= %(tried)s")
_IN_DOUBT = _SOONER.format(which="d.doubts > 0")


def seen(now: datetime) -> timedelta:
    """By how much the clock was set back at least since the latest event was written."""
    latest = Event.objects.order_by("-pk").values_list("at", flat=True).first()
    return timedelta() if latest is None else max(timedelta(), latest - now)


def bring_forward(now: datetime, schedule: RetrySchedule) -> int:
    """Have some of what lies too far in the future be due sooner; the answer is how many there were."""
    longest = [next_delay(schedule, number, 1.0) for number in range(1, len(schedule.delays) + 2)]
    doubt = max(settings.ENVIRONMENT.doubt_delay, *longest)
    found = _brought(_NEVER_TRIED, 0.0, now) + _brought(_IN_DOUBT, doubt, now)
    for number, delay in enumerate(longest, 1):
        statement = _TRIED_SO_OFTEN if number < len(longest) else _TRIED_OFTEN
        found += _brought(statement, delay, now, tried=number)
    return found


def end_sooner(among: Collection[int], by: timedelta, now: datetime) -> None:
    """Have these connections' THROTTLED end that much sooner, but for one of before the clock was ahead."""
    with writing():
        waiting = Connection.objects.filter(pk__in=among, health="throttled", health_until__gt=now)
        ahead = Q(health_since__gt=now) | Q(health_until__gt=now + by)
        for one in waiting.filter(ahead).select_for_update():
            Connection.objects.filter(pk=one.pk).update(
                health_until=None if one.health_until is None else one.health_until - by,
                health_since=None if one.health_since is None else min(now, one.health_since),
            )


def _brought(statement: str, delay: float, now: datetime, **asked: int) -> int:
    latest = now + timedelta(seconds=delay)
    with writing():
        return execute(
            statement, {**asked, "now": now, "latest": latest, "beyond": latest + SLACK, "limit": BATCH}
        )
