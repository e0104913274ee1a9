"""When the end of a server's certificate is told.

Ahead of it by 21 days, and by no more than a third of the certificate's term: one that is made for six days
is renewed every few days, and is news only once that did not happen. Pure; nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vaguemestre.mail.validity import Validity

AHEAD = timedelta(days=21)
SHARE = 3  # of the term: where its last third begins, if that is later
AWAY = timedelta(days=1)
WRITTEN_EVERY = timedelta(hours=1)  # that it is still as near


class Notice(StrEnum):
    """How near the end is, the nearest last; each is told once."""

    WEEKS = "weeks"
    DAYS = "days"
    HOURS = "hours"
    OVER = "over"


_LEFT = {
    Notice.WEEKS: AHEAD,
    Notice.DAYS: timedelta(days=7),
    Notice.HOURS: timedelta(days=2),
    Notice.OVER: timedelta(0),
}


def ahead(validity: Validity) -> timedelta:
    """How long before its end a certificate is told of."""
    if validity.starts_at is None:
        return AHEAD
    return min(AHEAD, (validity.ends_at - validity.starts_at) / SHARE)


def notice_of(validity: Validity, now: datetime) -> Notice | None:
    """What to tell of a certificate; None while there is time."""
    left, most = validity.ends_at - now, ahead(validity)
    return next((notice for notice in reversed(Notice) if left <= min(_LEFT[notice], most)), None)


@dataclass(frozen=True)
class Told:
    """The nearest notice that was told of a server's certificate, and when it was last seen that near.

    Machines behind one name may have different certificates, and a session meets any of them: what is farther
    is no news until the near one was away for a day.
    """

    notice: Notice
    at: datetime

    def covers(self, notice: Notice, now: datetime) -> bool:
        """Whether nothing has to be told of that notice now."""
        return abs(now - self.at) < AWAY and _LEFT[self.notice] <= _LEFT[notice]

    def to_be_written(self, notice: Notice, now: datetime) -> bool:
        """Whether that notice is news, or has to be kept as seen anew."""
        lasts = notice is self.notice and now - self.at >= WRITTEN_EVERY
        return lasts or not self.covers(notice, now)
