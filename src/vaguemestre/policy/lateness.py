"""Whether a delivery has waited for so long that people are told: once for each delivery, a delay notice.

It waits since its message was accepted, since `send_at` where that is later, and anew since a person or a
new route let it go: until then it was not ours to hurry. Late is what is `queued`, whatever it waits for: its
next try, a connection that is throttled, locked or paused, a limit, its turn.

Never late is what is `held` (an alert told of it at once, and only a person or a new route ends that) and
what is in doubt (it may have arrived, so "not passed on yet" might be untrue; it has a notice of its own).
What a courier has in its hands may be accepted in a moment: it is looked at again. Pure; nothing fails here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.schedule import RetrySchedule


class Lateness(StrEnum):
    """What a look at a delivery says."""

    LATE = "late"
    NOT_YET = "not_yet"  # to be looked at again
    NEVER = "never"  # not as it stands: what lets it go begins its wait anew


def long_ago(schedule: RetrySchedule, now: datetime) -> datetime:
    """What waits since then, or longer, is late."""
    return now - timedelta(seconds=schedule.delay_notice)


def lateness(state: DeliveryState, since: datetime, schedule: RetrySchedule, now: datetime) -> Lateness:
    """Whether a delivery in this state, which waits since then, is late."""
    if state is DeliveryState.CLAIMED:
        return Lateness.NOT_YET
    if state is not DeliveryState.QUEUED:
        return Lateness.NEVER
    return Lateness.LATE if since <= long_ago(schedule, now) else Lateness.NOT_YET
