"""Digests of a quarter of an hour in little memory; and another process's, or those of before a start."""

import hashlib
from datetime import timedelta

import pytest

from vaguemestre.ledger import handovers
from vaguemestre.ledger.models import Handover
from vaguemestre.ledger.recollection import Recollection

from .kit import NOW, later
from .test_groups import handed, take

KEPT = timedelta(minutes=15)


def digest(number):
    return hashlib.sha256(str(number).encode()).digest()


@pytest.mark.any_database
def test_a_digest_is_found_by_its_rows_the_latest_first():
    known = Recollection(KEPT)
    for number in range(1, 100):
        known.add([(number, digest(number % 40))], later(seconds=number * 3))
    assert [known.find(digest(one)) for one in (7, 30, 41)] == [[87, 47, 7], [70, 30], []]
    assert known.last == 99


@pytest.mark.any_database
def test_what_counts_no_more_is_dropped_and_of_the_rest_sixteen_bytes_are_kept():
    known = Recollection(KEPT)
    for number in range(40 * 60):
        known.add([(number + 1, digest(number))], later(seconds=number))
    assert not known.find(digest(0))
    assert known.find(digest(40 * 60 - 15 * 60)) == [40 * 60 - 15 * 60 + 1]
    kept = [starts.itemsize * len(starts) * 2 for _, starts, _ in known._closed]
    assert sum(kept) <= 17 * 61 * 16


@pytest.mark.django_db
def test_after_a_start_the_same_bytes_are_known_and_so_are_those_that_another_process_took():
    (first,) = take(handed("before"))
    handovers.forget_all()  # as in a process that has just begun
    assert take(handed("before"))[0].uid == first.uid
    other = first.uid
    Handover.objects.create(digest=handed("elsewhere").handover, message_uid=other, at=NOW)
    assert take(handed("elsewhere"))[0].uid == other


@pytest.mark.django_db
def test_two_digests_that_begin_alike_are_two_messages():
    (first,) = take(handed("one"))
    alike = handed("one").handover[:8] + bytes(24)
    row = Handover.objects.get()
    row.digest = alike
    row.save()
    assert take(handed("one"))[0].uid != first.uid
