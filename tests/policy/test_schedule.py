"""Retry delays and expiry, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.policy.schedule import (
    RetrySchedule,
    expired,
    next_delay,
    nominal_delay,
    spent,
)

ORDINARY = RetrySchedule()


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


def test_the_retry_age_is_spent_by_the_delays_between_counted_attempts():
    assert [spent(ORDINARY, counted) for counted in range(9)] == [
        0,
        0,
        60,
        360,
        1260,
        3060,
        6660,
        13860,
        28260,
    ]


def test_a_delivery_expires_at_its_37th_counted_attempt_after_five_days():
    ends = [counted for counted in range(60) if expired(ORDINARY, spent(ORDINARY, counted))]
    assert ends[0] == 37
    assert spent(ORDINARY, 36) < 5 * 86_400 <= spent(ORDINARY, 37)


def test_waiting_that_is_not_counted_never_expires():
    assert not expired(ORDINARY, spent(ORDINARY, 0))
    assert not expired(ORDINARY, spent(ORDINARY, 1))


def test_a_stream_may_have_its_own_retry_age():
    assert expired(ORDINARY, 3600, 3600)
    assert not expired(ORDINARY, 3599, 3600)
    assert not expired(ORDINARY, 3600)


@pytest.mark.parametrize(
    "wrong", [{"delays": (0.0,)}, {"then": float("inf")}, {"jitter": 1.0}, {"jitter": -0.1}]
)
def test_a_schedule_that_exists_is_valid(wrong):
    with pytest.raises(ValueError, match="of a schedule"):
        RetrySchedule(**wrong)
