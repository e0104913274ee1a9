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
