"""Which deliveries are late: a table of states, and the 4 hours."""

from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.lateness import Lateness, lateness, long_ago
from vaguemestre.policy.schedule import RetrySchedule

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ORDINARY = RetrySchedule()


def of(state, **waited):
    return lateness(state, NOW - timedelta(**waited), ORDINARY, NOW)


def test_the_time_is_that_of_the_design():
    assert ORDINARY.delay_notice == 4 * 3600
    assert long_ago(ORDINARY, NOW) == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("waited", "expected"),
    [(0, "not_yet"), (3.999, "not_yet"), (4, "late"), (4.001, "late"), (1000, "late"), (-1, "not_yet")],
)
def test_what_is_queued_is_late_after_four_hours(waited, expected):
    assert of(DeliveryState.QUEUED, hours=waited) == expected


def test_what_a_courier_has_is_looked_at_again():
    assert of(DeliveryState.CLAIMED, hours=100) is Lateness.NOT_YET


@pytest.mark.parametrize("state", sorted({*DeliveryState} - {DeliveryState.QUEUED, DeliveryState.CLAIMED}))
def test_nothing_else_is_late(state):
    assert of(state, hours=100) is Lateness.NEVER


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_the_time_is_above_zero_and_finite(seconds):
    with pytest.raises(ValueError, match="positive and finite"):
        RetrySchedule(delay_notice=seconds)
