"""Why routing answered as it did is kept once, found again, and swept when nothing has it any more."""

import pytest
from django.db import IntegrityError, transaction

from vaguemestre.ledger import connections, explanations, rerouting, retention
from vaguemestre.ledger.accept import commit
from vaguemestre.ledger.draft import draft
from vaguemestre.ledger.instance import epoch
from vaguemestre.ledger.models import Delivery, Explanation

from .kit import ACTOR, NOW, connect, deliveries, later, only, post, sql, submission

pytestmark = pytest.mark.django_db


def why(text):
    return {"reason": {"code": text, "facts": {}}, "rules": [{"code": text}]}


def test_deliveries_with_the_same_answer_share_its_explanation():
    connect()
    messages = [post("a@example.com", "b@example.com"), post("c@example.com")]
    kept = {one.explanation_id for message in messages for one in deliveries(message)}
    assert len(kept) == Explanation.objects.count() == 1
    (row,) = Explanation.objects.all()
    assert (row.reason["code"], row.epoch) == ("only_active", epoch())
    assert len(row.rules) > 5


def test_another_sender_has_another_explanation_where_a_rule_names_it():
    connect()
    found = {only(post(from_=f"{name}@example.org")).explanation_id for name in ("a", "b")}
    assert len(found) == 2


def test_what_is_kept_twice_is_one_row_of_the_later_epoch():
    first = explanations.keep_one(why("x"), 5)
    assert explanations.keep_one(why("x"), 7) == explanations.keep_one(why("x"), 6) == first
    assert Explanation.objects.get(pk=first).epoch == 7


@pytest.mark.django_db(transaction=True)
def test_what_was_undone_is_not_remembered(django_assert_num_queries):
    with transaction.atomic():
        explanations.keep_one(why("x"), 1)
        transaction.set_rollback(True)
    with transaction.atomic():
        key = explanations.keep_one(why("x"), 1)
    assert Explanation.objects.get().pk == key
    with django_assert_num_queries(0):
        assert explanations.keep_one(why("x"), 1) == key


def test_rerouted_the_old_explanation_is_swept_and_the_new_one_stays():
    office = connect()
    message = post()
    before = only(message).explanation_id
    connections.edit(str(office.uid), {"name": "Bureau"}, ACTOR, NOW)
    assert explanations.sweep() == 0
    rerouting.reroute(later(minutes=1))
    after = only(message)
    assert after.explanation_id != before
    assert after.reason["facts"]["connection_name"] == "Bureau"
    retention.sweep(later(minutes=2))
    assert list(Explanation.objects.values_list("pk", flat=True)) == [after.explanation_id]


def test_what_is_in_use_now_is_not_swept_though_nothing_has_it_yet():
    key = explanations.keep_one(why("x"), epoch())
    assert explanations.sweep() == 0
    Explanation.objects.update(epoch=epoch() - 1)
    assert explanations.sweep() == 1
    assert not Explanation.objects.filter(pk=key).exists()


@pytest.mark.django_db(transaction=True)
def test_an_acceptance_whose_explanation_is_gone_makes_it_again():
    connect()
    post()
    with transaction.atomic():
        for table in ("event", "delivery", "explanation"):
            sql(f"DELETE FROM ledger_{table}")
    (answer,) = commit([draft(submission(), NOW)], NOW)
    assert answer.state == "queued"
    assert Delivery.objects.get().reason["code"] == "only_active"


@pytest.mark.django_db(transaction=True)
def test_a_delivery_without_its_explanation_cannot_be():
    connect()
    message = post()
    with pytest.raises(IntegrityError):
        sql("DELETE FROM ledger_explanation")
    assert only(message).reason["code"] == "only_active"
