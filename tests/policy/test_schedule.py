"""Retry delays and expiry, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.policy.schedule import HOUR, RetrySchedule, expired, next_delay, nominal_delay

ORDINARY = RetrySchedule()


def spent(counted):
    """The seconds between that many counted attempts."""
    return sum(nominal_delay(ORDINARY, one) for one in range(1, counted))


def test_the_ordinary_delays_are_those_of_the_design():
    assert [nominal_delay(ORDINARY, counted) for counted in range(1, 10)] == [
        60,
        300,
        900,
        1800,
        3600,
        7200,
        14400,
        14400,
        14400,
    ]


def test_an_attempt_that_was_not_counted_waits_as_after_the_first():
    assert nominal_delay(ORDINARY, 0) == 60


@pytest.mark.parametrize(("unit", "delay"), [(0.0, 48), (0.25, 54), (0.5, 60), (0.75, 66)])
def test_jitter_spreads_a_delay_by_a_fifth(unit, delay):
    assert next_delay(ORDINARY, 1, unit) == pytest.approx(delay)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_jitter(counted, unit):
    nominal = nominal_delay(ORDINARY, counted)
    assert nominal * 0.8 <= next_delay(ORDINARY, counted, unit) <= nominal * 1.2


def test_a_delivery_expires_at_its_37th_counted_attempt_after_five_days():
    assert not expired(spent(36), 120 * HOUR)
    assert expired(spent(37), 120 * HOUR)


@pytest.mark.parametrize(
    "wrong", [{"delays": (0.0,)}, {"then": float("inf")}, {"jitter": 1.0}, {"jitter": -0.1}]
)
def test_a_schedule_that_exists_is_valid(wrong):
    with pytest.raises(ValueError, match="of a schedule"):
        RetrySchedule(**wrong)
