"""A courier asks ten times a second whether anything is to be routed anew: the answer must not read the queue."""

import pytest

from ledger.kit import on_postgresql
from vaguemestre.ledger import rerouting

pytestmark = pytest.mark.django_db


def test_the_question_for_older_routes_is_answered_by_their_index():
    if on_postgresql():
        pytest.skip("a small table is read whole")
    # With parameters, as it is asked: what Django logs has the values in it, and another plan.
    plan = rerouting._stale(5).explain()
    assert "USING INDEX delivery_routes (route_epoch<?)" in plan
