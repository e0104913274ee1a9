"""What a connection's lane is doing, and why not: the answer of a connection's page.

`of_lane` is a function of values and `now`. It promises one answer for every lane. What keeps the lane from
working is named before what it works at, in the order in which it would have to end; of the times the latest.
A limit or a probe is named only where something is due, since nothing else waits for it. Nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from vaguemestre.policy.installation import Pause
from vaguemestre.policy.outlook import (
    ZERO,
    Count,
    Lane,
    Outlook,
    decisive,
    lane_starts,
    lane_stopped,
    lane_waits,
)

ACTIVITY_COUNTS = timedelta(seconds=15)  # what a courier wrote longer ago is not known any more


class LaneCode(StrEnum):
    """What a lane is doing, or what keeps it. The first ones are those of a delivery that it keeps."""

    SENDING_PAUSED = "sending_paused"
    NO_COURIER = "no_courier"
    UNSERVED = "unserved"
    LOCKED = "locked"
    PAUSED = "paused"
    THROTTLED = "throttled"
    PROBING = "probing"
    LIMIT_REACHED = "limit_reached"
    INACTIVE = "inactive"
    SENDING = "sending"
    TAKING_UP = "taking_up"  # something is due, and about to be claimed
    WAITING = "waiting"  # all there is has a later time
    IDLE = "idle"


@dataclass(frozen=True)
class Activity:
    """What the courier last said of itself.

    Attributes:
        in_flight: messages offered to the server and not answered yet.
        window: how many may be, in one session.
        waiting: messages claimed and not begun.
    """

    sessions: int
    in_flight: int
    window: int
    waiting: int
    at: datetime


@dataclass(frozen=True)
class Work:
    """What a lane has to do: deliveries, and the hands that are at it.

    Attributes:
        due: queued or in doubt, and due.
        later: the same, with a time to come.
        in_doubt: all of them, those that wait for a person included.
        held: asking for this connection, and held since it does not carry mail.
        oldest_due_at: the time at which the first of those due became so.
        next_attempt_at: the time of the first of the later ones.
        activity: None where nothing recent is known.
    """

    due: Count = ZERO
    later: Count = ZERO
    claimed: Count = ZERO
    in_doubt: Count = ZERO
    held: Count = ZERO
    oldest_due_at: datetime | None = None
    next_attempt_at: datetime | None = None
    activity: Activity | None = None

    @property
    def present(self) -> bool:
        """Whether there is anything to count."""
        counts = (self.due, self.later, self.claimed, self.in_doubt, self.held)
        return any(counts) or (self.activity is not None and self.activity.sessions > 0)


def of_lane(lane: Lane, work: Work, now: datetime, pause: Pause | None = None) -> Outlook:
    """What the lane is doing, and why not; `pause` is that of all sending, while there is one."""
    found = _outlook(lane, work, now, pause)
    more: dict[str, Any] = {"connection": lane.name} | (
        {"backup": lane.backup} if lane.backup and pause is None else {}
    )
    return Outlook(found.code, found.at, {**found.facts, **more})


def recent(activity: Activity | None, now: datetime) -> Activity | None:
    """The activity, if it was written lately."""
    if activity is None or abs(now - activity.at) > ACTIVITY_COUNTS:
        return None
    return activity


def _outlook(lane: Lane, work: Work, now: datetime, pause: Pause | None) -> Outlook:
    if not lane.active:
        return Outlook(LaneCode.INACTIVE, None, {"held": work.held} if work.held else {})
    stopped = lane_stopped(lane, pause)
    if stopped is not None:
        return stopped
    waits = decisive(_waits(lane, work, now))
    if waits is not None:
        return waits
    starts = lane_starts(lane, now)
    if starts is not None and (work.due or starts.code != LaneCode.PROBING):
        return starts
    return _working(work)


def _waits(lane: Lane, work: Work, now: datetime) -> list[Outlook]:
    return [one for one in lane_waits(lane, now) if work.due or one.code != LaneCode.LIMIT_REACHED]


def _working(work: Work) -> Outlook:
    activity = work.activity
    if work.claimed or (activity is not None and activity.in_flight):
        return Outlook(LaneCode.SENDING, None, _hands(activity))
    if work.due:
        return Outlook(LaneCode.TAKING_UP, None, {"due": work.due})
    if work.later:
        return Outlook(LaneCode.WAITING, work.next_attempt_at, {"later": work.later})
    return Outlook(LaneCode.IDLE, None, _hands(activity))


def _hands(activity: Activity | None) -> dict[str, Any]:
    if activity is None or not activity.sessions:
        return {}
    return {"sessions": activity.sessions, "in_flight": activity.in_flight}
