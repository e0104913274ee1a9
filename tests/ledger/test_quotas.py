"""Near the limit of a day: from four fifths on, what is under way included."""

from uuid import uuid4

import pytest

from ledger.kit import NOW, connect, later
from vaguemestre.ledger import allowance, quotas
from vaguemestre.ledger.models import Use

pytestmark = pytest.mark.django_db


def near(now=NOW):
    return [(one.connection.name, one.used, one.limit) for one in quotas.near(now)]


def test_a_connection_is_near_from_four_fifths_of_its_day():
    office = connect(limits={"per_day": 10})
    connect("Unlimited")
    allowance.take(office.pk, {uuid4(): 7})
    assert near() == []
    allowance.take(office.pk, {uuid4(): 1})
    assert near() == [("Office", 8, 10)]
    Use.objects.update(at=NOW)
    assert near(later(hours=23)) == [("Office", 8, 10)]
    assert near(later(hours=25)) == []


def test_that_it_is_near_is_taken_once_until_it_was_away_from_it():
    """Whoever asks, and however often couriers start again: the ledger keeps what was told."""
    office = connect(limits={"per_day": 10})

    def taken(used):
        Use.objects.all().delete()
        if used:
            allowance.take(office.pk, {uuid4(): used})
        return [one.used for one in quotas.take_near(NOW)]

    told = [taken(used) for used in (7, 8, 10, 7, 8, 6, 8, 0, 9)]
    assert told == [[], [8], [], [], [], [], [8], [], [9]]


def test_of_two_couriers_that_look_at_once_one_takes_it():
    office = connect(limits={"per_day": 10})
    assert [quotas._take(office) for _ in range(2)] == [True, False]


def test_an_inactive_connection_is_not_told_of():
    office = connect(limits={"per_day": 1}, active=False)
    allowance.take(office.pk, {uuid4(): 1})
    assert near() == []
