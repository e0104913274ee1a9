"""When a verification is renewed in the background.

A renewal does no harm: none is made for a connection that is inactive, locked or paused, that waits out a
throttle, or whose last verification failed at signing in, since a refused password that is tried again and
again is how providers lock mailboxes. Each connection has a moment of the day of its own, so that a server
which carries many of them is not asked for all at once. Pure; nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vaguemestre.mail.phase import Phase
from vaguemestre.policy.finding import FindingCode
from vaguemestre.policy.health import HealthState, serves

DAY = timedelta(days=1)
FRESH = timedelta(hours=12)  # a verification younger than that waits for the connection's next moment
AGAIN = timedelta(hours=1)  # after one that failed: much passes by itself, and then it should not stand there

_FOR_NOW = frozenset(
    {
        FindingCode.AUTH_TEMPORARILY_UNAVAILABLE,
        FindingCode.OAUTH2_TOKEN_UNAVAILABLE,
        FindingCode.RATE_LIMITED,
        FindingCode.DAILY_LIMIT,
        FindingCode.TOO_MANY_CONNECTIONS,
        FindingCode.SERVICE_CLOSING,
        FindingCode.CONNECTION_LOST,
        FindingCode.PROTOCOL_BROKEN,
        FindingCode.OUT_OF_TIME,
    }
)


@dataclass(frozen=True)
class Verified:
    """A connection's latest verification, made with the very settings that it has now.

    Attributes:
        at: when.
        ok: whether mail could leave.
        refused: whether it failed at signing in, otherwise than for now (`refuses`).
        active: whether the connection is.
        health: the connection's.
        share: of the day after which the connection's moment comes, in [0, 1).
    """

    at: datetime
    ok: bool
    refused: bool
    active: bool
    health: HealthState
    share: float


def renewal_due(verified: Verified, now: datetime) -> bool:
    """Whether it is to be renewed now."""
    harmless = verified.active and serves(verified.health, now) and not verified.refused
    next_at = renewal_at(verified.at, verified.share) if verified.ok else verified.at + AGAIN
    set_back = verified.at > now + AGAIN  # the clock was: else it would be renewed by the time that it was
    return harmless and (now >= next_at or set_back)


def refuses(code: str, phase: str | None) -> bool:
    """Whether a finding says that login, password or token are refused, and will be the next time too."""
    return phase == Phase.AUTH and code not in _FOR_NOW


def renewal_at(at: datetime, share: float) -> datetime:
    """The connection's first moment of the day once a verification of `at` is no longer fresh."""
    earliest = at + FRESH
    midnight = earliest.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + share * DAY
    return moment if moment >= earliest else moment + DAY
