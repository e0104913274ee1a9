"""When the end of a certificate is told: 21 days ahead, and later of one that is made for a short while."""

from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre.mail.validity import Validity
from vaguemestre.policy.expiry import AWAY, Notice, Told, ahead, notice_of

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


def steps(term):
    """How long before its end each step of a certificate made for so long is told, to the hour."""
    hour, validity = timedelta(hours=1), Validity(NOW + term, NOW)
    lefts = [term - hour * passed for passed in range(term // hour + 1)]
    notices = [notice_of(validity, validity.ends_at - left) for left in lefts]
    return [
        left
        for before, after, left in zip(notices, notices[1:], lefts[1:], strict=False)
        if after is not before
    ]


@pytest.mark.parametrize(
    ("left", "notice"),
    [
        (timedelta(days=21, seconds=1), None),
        (timedelta(days=21), Notice.WEEKS),
        (timedelta(days=8), Notice.WEEKS),
        (timedelta(days=7), Notice.DAYS),
        (timedelta(days=2), Notice.HOURS),
        (timedelta(0), Notice.OVER),
        (timedelta(days=-3), Notice.OVER),
    ],
)
def test_the_end_of_a_certificate_is_told_in_four_steps(left, notice):
    assert notice_of(Validity(NOW + left, NOW - timedelta(days=90)), NOW) is notice
    assert notice_of(Validity(NOW + left), NOW) is notice


@pytest.mark.parametrize(
    ("days", "told_ahead"),
    [(397, 21), (90, 21), (63, 21), (47, 47 / 3), (45, 15), (6, 2), (1, 1 / 3)],
)
def test_a_short_one_is_told_of_in_its_last_third(days, told_ahead):
    assert ahead(Validity(NOW + timedelta(days=days), NOW)) == timedelta(days=told_ahead)


def test_a_short_one_has_the_steps_that_lie_within_its_last_third():
    day = timedelta(days=1)
    assert steps(45 * day) == [15 * day, 7 * day, 2 * day, 0 * day]
    assert steps(15 * day) == [5 * day, 2 * day, 0 * day]
    assert steps(6 * day) == [2 * day, 0 * day]


def test_machines_with_different_certificates_behind_one_name_are_told_of_once():
    told = Told(Notice.DAYS, NOW)
    soon = NOW + timedelta(minutes=5)
    assert told.covers(Notice.DAYS, soon)
    assert told.covers(Notice.WEEKS, soon)  # of another machine
    assert not told.covers(Notice.HOURS, soon)
    assert not told.covers(Notice.WEEKS, NOW + AWAY)  # of a new certificate


def test_that_it_is_still_as_near_is_written_once_an_hour():
    told, hour = Told(Notice.DAYS, NOW), timedelta(hours=1)
    assert [told.to_be_written(Notice.DAYS, NOW + share * hour) for share in (0, 0.9, 1)] == [
        False,
        False,
        True,
    ]
    assert not told.to_be_written(Notice.WEEKS, NOW + hour)
    assert told.to_be_written(Notice.HOURS, NOW)


def test_what_a_clock_that_was_ahead_told_covers_nothing_of_now():
    told = Told(Notice.DAYS, NOW + timedelta(365))
    assert not told.covers(Notice.DAYS, NOW)
