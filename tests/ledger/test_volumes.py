"""What servers accepted of late, by connection and hour."""

import pytest

from ledger.kit import NOW, accepted, connect, later, post
from vaguemestre.ledger.models import Attempt
from vaguemestre.ledger.volumes import _first_after, volumes

pytestmark = pytest.mark.django_db


def sent(office, *hours):
    """A message accepted so many hours ago, each."""
    for ago in hours:
        post(now=later(hours=-ago))
        accepted(office, later(hours=-ago))


def test_volumes_count_by_hour_the_latest_last():
    office = connect()
    sent(office, 30, 24, 23, 1, 0, 0)
    connect("Other")
    (counts,) = volumes(NOW).values()
    assert volumes(NOW).keys() == {office.pk}
    assert len(counts) == 24
    assert (counts[23], counts[22], counts[0], sum(counts)) == (2, 1, 1, 4)


def test_what_waited_for_days_counts_when_a_server_took_it():
    office = connect()
    post(now=later(days=-3))
    accepted(office, NOW)
    assert volumes(NOW)[office.pk][-1] == 1


def test_only_attempts_of_the_time_are_looked_at():
    office = connect()
    sent(office, *range(40, 0, -1))
    numbers = list(Attempt.objects.order_by("pk").values_list("pk", flat=True))
    assert _first_after(later(hours=-24)) in range(numbers[16] + 1, numbers[17] + 1)
    assert _first_after(later(hours=1)) == numbers[-1] + 1
    assert _first_after(later(days=-9)) <= numbers[0]
