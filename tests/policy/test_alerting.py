"""What of a connection's health is worth telling an operator, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre.policy.alerting import AlertKind, alert_of
from vaguemestre.policy.health import READY, locked, paused, recovered, resumed, throttled, unlocked

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


LOCKED = locked(READY, "sign_in_refused", now=NOW)
SHORT = throttled(READY, NOW, 60.0, why="service_closing")
LONG = throttled(READY, NOW, 3600.0, why="limit_reached")
CERTIFICATE = throttled(READY, NOW, why="encryption_failed")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (READY, READY, None),
        (READY, LOCKED, AlertKind.CONNECTION_LOCKED),
        (LOCKED, LOCKED, None),
        (LONG, locked(LONG, "sign_in_refused", now=later(1)), AlertKind.CONNECTION_LOCKED),
        (READY, SHORT, None),
        (READY, LONG, AlertKind.CONNECTION_THROTTLED),
        (SHORT, throttled(SHORT, later(0.5), 3600.0), AlertKind.CONNECTION_THROTTLED),
        (LONG, throttled(LONG, later(60), 3600.0), None),
        (READY, CERTIFICATE, AlertKind.CERTIFICATE_TROUBLE),
        (LOCKED, unlocked(LOCKED), AlertKind.CONNECTION_RECOVERED),
        (LONG, recovered(LONG, later(61)), AlertKind.CONNECTION_RECOVERED),
        (CERTIFICATE, READY, AlertKind.CONNECTION_RECOVERED),
        (SHORT, recovered(SHORT, later(2)), None),
        (READY, paused(READY, "ada", now=NOW), None),
        (LONG, paused(LONG, "ada", now=later(1)), None),
        (paused(READY, "ada", now=NOW), resumed(paused(READY, "ada", now=NOW)), None),
    ],
)
def test_a_change_of_health_is_told_where_somebody_should_know(before, after, kind):
    assert alert_of(before, after) is kind


def test_a_throttle_is_told_once_it_is_known_to_last_over_five_minutes():
    """Steps of 1, 2, 4, 8 minutes: the third brings it to seven."""
    state, now, told = READY, NOW, []
    for _ in range(5):
        after = throttled(state, now, why="server_unavailable")
        told.append(alert_of(state, after))
        state, now = after, after.until
    assert told == [None, None, AlertKind.CONNECTION_THROTTLED, None, None]
