"""Values that are made often (`mail.value`)."""

from dataclasses import field, replace

import pytest

from vaguemestre.mail.value import entity, value


@value
class Pair:
    """A value."""

    left: int
    right: list[int] = field(default_factory=list, compare=False)


@entity
class One:
    """Something that is equal to itself alone."""

    number: int


def test_values_are_equal_and_hashed_by_their_fields():
    assert Pair(1) == Pair(1, [2]) != Pair(2)
    assert {Pair(1): "found"}[Pair(1)] == "found"
    assert replace(Pair(1, [2]), left=3) == Pair(3)
    assert repr(Pair(1)) == "Pair(left=1, right=[])"


def test_a_value_has_its_fields_and_no_room_for_others():
    with pytest.raises(AttributeError):
        Pair(1).middle = 2


def test_an_entity_is_equal_to_itself_alone():
    one = One(1)
    assert {one: "found"}[one] == "found"
    assert one != One(1)
