"""A courier asks ten times a second whether anything is to be routed anew: the answer must not read the queue."""

import pytest

from ledger.kit import ACTOR, NOW, connect, later, on_postgresql, post
from vaguemestre.ledger import connections, rerouting
from vaguemestre.ledger.models import Delivery, Event

pytestmark = pytest.mark.django_db


def test_the_question_for_older_routes_is_answered_by_their_index():
    if on_postgresql():
        pytest.skip("a small table is read whole")
    # With parameters, as it is asked: what Django logs has the values in it, and another plan.
    plan = rerouting._stale(5).explain()
    assert "USING INDEX delivery_routes (route_epoch<?)" in plan


def test_a_batch_takes_a_handful_of_statements_whatever_it_moves(django_assert_max_num_queries):
    """Everybody who writes waits for it: five hundred took 1.3 s of a laden machine, most of it in statements."""
    connect()
    for _ in range(40):
        post()
    other = connect("Other")
    connections.make_default(str(other.uid), ACTOR, NOW)
    with django_assert_max_num_queries(20):
        assert rerouting.reroute(NOW) == 40
    assert set(Delivery.objects.values_list("connection_id", "state")) == {(other.pk, "queued")}
    assert Event.objects.filter(detail__code="routed").count() == 40


def test_a_batch_expires_in_a_handful_of_statements(django_assert_max_num_queries):
    connect()
    for _ in range(40):
        post(expires_at=later(minutes=1))
    with django_assert_max_num_queries(12):
        assert rerouting.expire(later(minutes=2)) == 40
    ended = set(Delivery.objects.values_list("state", "settled_at", "next_attempt_at"))
    assert ended == {("expired", later(minutes=2), None)}
    assert Event.objects.filter(detail__code="expired", state="expired").count() == 40
