"""Public ids are version 7 of RFC 9562, sorted by time."""

import time
from uuid import RFC_4122, UUID

import pytest

from vaguemestre.ledger.identity import new_digits, new_id, new_name, new_names


@pytest.mark.parametrize("make", [new_id, new_name, new_digits])
def test_an_id_is_of_version_7_and_has_the_time_of_its_making(make):
    before = time.time_ns() // 1_000_000
    found = [UUID(str(make())) for _ in range(200)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in found} == {(7, RFC_4122)}
    assert all(before <= one.int >> 80 <= after for one in found)
    assert {one.hex[16] for one in found} == set("89ab")
    assert len(set(found)) == 200


def test_a_name_is_an_id_as_people_get_it():
    name = new_name()
    assert name == str(UUID(name))


def test_names_of_one_moment_are_ids_of_its_time_in_their_order():
    before = time.time_ns() // 1_000_000
    names = new_names(1_000)
    after = time.time_ns() // 1_000_000
    found = [UUID(name) for name in names]
    assert [str(one) for one in found] == names == sorted(set(names))
    assert {(one.version, one.variant) for one in found} == {(7, RFC_4122)}
    assert all(before <= one.int >> 80 <= after for one in found)
    assert len({one.int >> 56 & 0xF for one in found}) == 16
    assert new_names(0) == []
