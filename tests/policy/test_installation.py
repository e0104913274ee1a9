"""Which database is what an installation left, and which may be a copy of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.policy.installation import Kept, Mark, PauseWhy, discord, raised

KEPT = Kept("ours", "file=7 born=1", 100)
MARK = Mark("ours", 100)


@pytest.mark.parametrize(
    ("kept", "place", "mark", "embedded", "why"),
    [
        (KEPT, "file=7 born=1", MARK, True, None),
        (KEPT, "file=7 born=1", Mark("ours", 99), True, None),  # the courier died before it wrote its mark
        (KEPT, "", MARK, True, None),  # where it lies cannot be told
        (KEPT, "file=8 born=2", MARK, True, PauseWhy.ELSEWHERE),
        (KEPT, "file=7 born=1", Mark("ours", 101), True, PauseWhy.OLDER),
        (
            KEPT,
            "file=8 born=2",
            Mark("ours", 101),
            True,
            PauseWhy.OLDER,
        ),  # says more than that it lies elsewhere
        (KEPT, "file=7 born=1", Mark("theirs", 1), True, PauseWhy.FOREIGN),
        (KEPT, "file=7 born=1", None, True, PauseWhy.UNMARKED),
        (KEPT, "file=8 born=2", None, True, PauseWhy.ELSEWHERE),
        (KEPT, "file=7 born=1", None, False, None),  # couriers of a server come and go
        (KEPT, "file=8 born=2", None, False, PauseWhy.ELSEWHERE),
        (Kept("ours", "", 100), "file=8 born=2", Mark("theirs", 900), True, None),  # confirmed by a person
        (Kept("", "", 0, used=False), "file=7 born=1", None, True, None),  # a new one
        (
            Kept("", "", 0, used=False),
            "file=7 born=1",
            MARK,
            True,
            None,
        ),  # in the place of one that was deleted
        (Kept("", "", 0), "file=7 born=1", None, True, None),  # the first start of a version with marks
        (Kept("", "", 0), "file=7 born=1", MARK, True, PauseWhy.ELSEWHERE),  # a backup made before it
        (Kept("", "", 0), "database=9", MARK, False, PauseWhy.ELSEWHERE),
        (KEPT, "file=7", MARK, True, None),  # births are not told any more
        (Kept("ours", "file=7", 100), "file=7 born=1", MARK, True, None),
        (KEPT, "file=7 born=2", MARK, True, PauseWhy.ELSEWHERE),  # another one with its number
        (Kept("ours", "cluster=1 database=9", 100), "database=9", MARK, False, None),
        (Kept("ours", "cluster=1 database=9", 100), "database=8", MARK, False, PauseWhy.ELSEWHERE),
        (KEPT, "cluster=1 database=9", MARK, False, PauseWhy.ELSEWHERE),
    ],
)
def test_a_copy_is_told_by_its_place_its_mark_and_its_age(kept, place, mark, embedded, why):
    assert discord(kept, place, mark, embedded=embedded) is why


@given(st.lists(st.integers(-(2**40), 2**45), min_size=1))
def test_the_mark_only_rises_whatever_the_clock_does(clock):
    marks = [0]
    for milliseconds in clock:
        marks.append(raised(marks[-1], milliseconds))
    assert marks == sorted(set(marks))
