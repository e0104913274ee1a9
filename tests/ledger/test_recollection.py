"""Digests of a quarter of an hour in little memory; and another process's, or those of before a start."""

import contextlib
import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest

from vaguemestre.ledger import handovers
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Handover
from vaguemestre.ledger.recollection import Recollection
from vaguemestre.ledger.statements import tuples

from .kit import NOW, connect, later, on_postgresql
from .test_groups import handed, take

KEPT = timedelta(minutes=15)


def digest(number):
    return hashlib.sha256(str(number).encode()).digest()


@pytest.mark.any_database
def test_a_digest_is_found_by_its_rows_the_latest_first():
    known = Recollection(KEPT, few=0)
    for number in range(1, 100):
        known.add([(number, digest(number % 40))], later(seconds=number * 3))
    assert known.find([digest(one) for one in (7, 30, 41)]) == {digest(7): [87, 47, 7], digest(30): [70, 30]}
    assert known.last == 99


@pytest.mark.any_database
def test_what_counts_no_more_is_dropped_and_of_the_rest_sixteen_bytes_are_kept():
    known = Recollection(KEPT, few=0)
    for number in range(40 * 60):
        known.add([(number + 1, digest(number))], later(seconds=number))
    kept = digest(40 * 60 - 15 * 60)
    assert known.find([digest(0), kept]) == {kept: [40 * 60 - 15 * 60 + 1]}
    kept = [starts.itemsize * len(starts) * 2 for _, starts, _ in known._closed]
    assert sum(kept) <= 17 * 61 * 16


@pytest.mark.any_database
def test_what_came_in_a_burst_is_dropped_in_its_time_though_few_come_afterwards():
    known = Recollection(KEPT, few=10)
    for number in range(60):
        known.add([(number + 1, digest(number))], later(seconds=number * 10))
    assert known._closed
    known.add([(61, digest(60))], later(seconds=600) + KEPT)
    assert not known._closed


@pytest.mark.any_database
def test_of_few_all_are_found_by_one_look_however_long_they_take_to_come():
    known = Recollection(KEPT, few=30)
    for number in range(31):
        known.add([(number + 1, digest(number))], later(seconds=number * 600))
    assert not known._closed
    assert known.find([digest(0), digest(30)]) == {digest(0): [1], digest(30): [31]}
    known.add([(32, digest(31))], later(seconds=31 * 600))
    assert len(known._closed) == 1
    assert known.find([digest(0), digest(31)]) == {digest(0): [1], digest(31): [32]}


@pytest.mark.django_db
def test_after_a_start_the_same_bytes_are_known_and_so_are_those_that_another_process_took():
    (first,) = take(handed("before"))
    handovers.forget_all()  # as in a process that has just begun
    assert take(handed("before"))[0].uid == first.uid
    other = first.uid
    Handover.objects.create(digest=handed("elsewhere").handover, message_uid=other, at=NOW)
    assert take(handed("elsewhere"))[0].uid == other


@pytest.mark.skipif(on_postgresql(), reason="found by an index there")
@pytest.mark.django_db(transaction=True)
def test_what_a_process_committed_it_knows_without_asking_and_what_was_undone_it_does_not(monkeypatch):
    asked = []
    monkeypatch.setattr(handovers, "tuples", lambda *question: asked.append(question) or tuples(*question))
    connect()
    take(handed("before"))
    asked.clear()  # what was there before the test began
    first, _ = take(handed("one"), handed("two"))
    assert handovers._recollected.last == Handover.objects.latest("pk").pk
    assert take(handed("one"))[0].uid == first.uid
    with contextlib.suppress(ZeroDivisionError), writing():
        take(handed("three"))
        raise ZeroDivisionError
    assert not take(handed("three"))[0].repeated
    assert take(handed("three"))[0].repeated
    assert not asked
    Handover.objects.create(digest=handed("elsewhere").handover, message_uid=first.uid, at=NOW)
    assert take(handed("elsewhere"))[0].uid == first.uid
    assert len(asked) == 1


@pytest.mark.skipif(on_postgresql(), reason="found by an index there")
@pytest.mark.django_db(transaction=True)
def test_what_was_read_of_a_transaction_that_is_undone_hides_nobody_elses():
    connect()
    (first,) = take(handed("before"))
    with contextlib.suppress(ZeroDivisionError), writing():
        for number in range(3):  # each asks, since those before it are not committed
            take(handed(str(number)))
        raise ZeroDivisionError
    Handover.objects.create(digest=handed("elsewhere").handover, message_uid=first.uid, at=NOW)
    assert take(handed("elsewhere"))[0].uid == first.uid


@pytest.mark.django_db
def test_two_digests_that_begin_alike_are_two_messages():
    (first,) = take(handed("one"))
    alike = handed("one").handover[:8] + bytes(24)
    row = Handover.objects.get()
    row.digest = alike
    row.save()
    assert take(handed("one"))[0].uid != first.uid


@pytest.mark.django_db(transaction=True)
def test_what_is_older_than_a_quarter_of_an_hour_is_removed_piece_by_piece(monkeypatch):
    monkeypatch.setattr(handovers, "_PIECE", 2)
    for number in range(5):
        at = NOW - timedelta(seconds=900 + (number < 3))
        Handover.objects.create(digest=handed(str(number)).handover, message_uid=uuid4(), at=at)
    assert handovers.forget(NOW) == 3
    assert Handover.objects.count() == 2
    assert handovers.forget(NOW) == 0
