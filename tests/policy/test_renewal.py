"""When a verification is renewed: once a day, at a moment of the connection's own, and never to harm."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.state import Health
from vaguemestre.policy.health import READY, HealthState
from vaguemestre.policy.renewal import (
    DAY,
    FRESH,
    Verified,
    refuses,
    renewal_at,
    renewal_due,
)

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
FINE = Verified(at=NOW, ok=True, refused=False, active=True, health=READY, share=0.25)  # 6:00
LATER = NOW + 2 * DAY


@given(st.timedeltas(timedelta(0), 400 * DAY).map(NOW.__add__), st.floats(0, 1, exclude_max=True))
def test_the_next_moment_is_half_a_day_away_at_least_and_a_day_and_a_half_at_most(at, share):
    assert FRESH <= renewal_at(at, share) - at <= FRESH + DAY


def test_a_renewal_made_at_its_moment_comes_again_a_day_later():
    first = renewal_at(NOW, 0.25)
    assert first == datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
    assert [renewal_at(first + timedelta(minutes=minutes), 0.25) - first for minutes in (0, 1, 600)] == [
        DAY
    ] * 3


def test_connections_that_were_verified_together_are_renewed_apart():
    moments = {renewal_at(NOW, number / 24) for number in range(24)}
    assert len(moments) == 24
    assert max(moments) - min(moments) == timedelta(hours=23)


def test_what_is_in_order_is_renewed_at_its_moment_and_not_before():
    moment = renewal_at(FINE.at, FINE.share)
    assert not renewal_due(FINE, moment - timedelta(seconds=1))
    assert renewal_due(FINE, moment)


@pytest.mark.parametrize(
    "changed",
    [
        {"active": False},
        {"health": HealthState(Health.LOCKED, why="credentials_refused")},
        {"health": HealthState(Health.PAUSED, why="paused")},
        {"health": HealthState(Health.THROTTLED, until=LATER + DAY)},
        {"ok": False, "refused": True},
    ],
)
def test_what_would_harm_is_not_renewed(changed):
    assert renewal_due(FINE, LATER)
    assert not renewal_due(replace(FINE, **changed), LATER)


def test_what_failed_elsewhere_is_tried_again_every_hour():
    failed = replace(FINE, ok=False)
    assert not renewal_due(failed, NOW + timedelta(minutes=59))
    assert renewal_due(failed, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("code", "phase", "refused"),
    [
        ("auth_refused", "auth", True),
        ("no_mechanism", "auth", True),
        ("oauth2_consent_withdrawn", "auth", True),
        ("auth_temporarily_unavailable", "auth", False),
        ("oauth2_token_unavailable", "auth", False),
        ("rate_limited", "auth", False),
        ("sender_refused", "mail", False),
        ("certificate_expires_soon", None, False),
    ],
)
def test_only_what_refuses_who_signs_in_stops_renewals(code, phase, refused):
    assert refuses(code, phase) is refused


def test_what_waited_out_its_throttle_is_renewed():
    assert renewal_due(replace(FINE, health=HealthState(Health.THROTTLED, until=NOW)), LATER)


def test_one_of_a_clock_that_was_ahead_does_not_wait_until_that_time_has_come():
    assert renewal_due(FINE, NOW - 400 * DAY)
    assert not renewal_due(FINE, NOW - timedelta(minutes=1))
