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
    allowance.take(office.pk, {uuid4(): 7}, NOW)
    assert near() == []
    allowance.take(office.pk, {uuid4(): 1}, NOW)
    assert near() == [("Office", 8, 10)]
    Use.objects.update(at=NOW)
    assert near(later(hours=23)) == [("Office", 8, 10)]
    assert near(later(hours=25)) == []


def test_an_inactive_connection_is_not_told_of():
    office = connect(limits={"per_day": 1}, active=False)
    allowance.take(office.pk, {uuid4(): 1}, NOW)
    assert near() == []
