"""Which rank a claim begins with: the urgent, and every tenth time what waits too long."""

import pytest

from vaguemestre.policy.turns import order


@pytest.mark.parametrize(
    ("claims", "waiting", "wanted"),
    [
        (0, (2, 1), (0, 1, 2)),
        (8, (2, 1), (0, 1, 2)),
        (9, (2, 1), (2, 0, 1)),
        (10, (2, 1), (0, 1, 2)),
        (19, (2, 1), (1, 0, 2)),
        (29, (2, 1), (2, 0, 1)),
        (9, (1,), (1, 0, 2)),
        (19, (2,), (2, 0, 1)),
        (9, (), (0, 1, 2)),
    ],
)
def test_the_order_of_the_ranks(claims, waiting, wanted):
    assert order(claims, waiting) == wanted


@pytest.mark.parametrize(
    ("claims", "waiting", "due", "wanted"),
    [(0, (), (1,), (1,)), (8, (2,), (1, 2), (1, 2)), (9, (2,), (1, 2), (2, 1)), (9, (2, 1), (2,), (2,))],
)
def test_only_the_ranks_that_something_is_due_of_are_asked_for(claims, waiting, due, wanted):
    assert order(claims, waiting, due) == wanted
