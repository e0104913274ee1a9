"""An answer given once is given again: one work for one key, whoever asks how often (D1)."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError

from ledger.kit import NOW, at_once, connect, later, post
from vaguemestre.ledger import idempotency
from vaguemestre.ledger.idempotency import KeyReused, once
from vaguemestre.ledger.models import Idempotency, Message

pytestmark = pytest.mark.django_db


def accept_one():
    message = post()
    return 202, {"id": str(message.uid)}


def test_the_same_request_is_answered_again_without_working_again():
    connect()
    first = once("key:a", "order-1", "digest", NOW, accept_one)
    again = once("key:a", "order-1", "digest", later(days=29), accept_one)
    assert first[:2] == again[:2]
    assert (first[2], again[2]) == (False, True)
    assert Message.objects.count() == 1


def test_another_request_with_the_same_key_is_refused():
    connect()
    once("key:a", "order-1", "digest", NOW, accept_one)
    with pytest.raises(KeyReused):
        once("key:a", "order-1", "another digest", NOW, accept_one)
    assert Message.objects.count() == 1


def test_keys_belong_to_their_submitter():
    connect()
    once("key:a", "order-1", "digest", NOW, accept_one)
    assert not once("key:b", "order-1", "another digest", NOW, accept_one)[2]
    assert Message.objects.count() == 2


def test_work_that_fails_is_not_remembered_and_leaves_nothing():
    connect()

    def fail():
        post()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        once("key:a", "order-1", "digest", NOW, fail)
    assert (Message.objects.count(), Idempotency.objects.count()) == (0, 0)
    assert once("key:a", "order-1", "digest", NOW, accept_one)[2] is False


def test_a_constraint_of_the_work_is_not_taken_for_a_known_key():
    def collide():
        connect()
        Message.objects.create(on_doubt="perhaps", size=1, accepted_at=NOW)
        return 202, {}

    with pytest.raises(IntegrityError):
        once("key:a", "order-1", "digest", NOW, collide)


def test_an_answer_is_forgotten_after_thirty_days():
    connect()
    once("key:a", "order-1", "digest", NOW, accept_one)
    assert once("key:a", "order-1", "digest", later(days=30), accept_one)[2] is True
    assert once("key:a", "order-1", "other", NOW + timedelta(days=30, microseconds=1), accept_one)[2] is False
    assert Message.objects.count() == 2


def test_forgetting_removes_what_is_older_than_thirty_days():
    connect()
    once("key:a", "order-1", "digest", NOW, accept_one)
    once("key:a", "order-2", "digest", later(days=1), accept_one)
    assert idempotency.forget(later(days=30)) == 0
    assert idempotency.forget(later(days=30, seconds=1)) == 1
    assert Idempotency.objects.get().key == "order-2"


@pytest.mark.django_db(transaction=True)
def test_i10_fifty_requests_with_one_key_at_once_are_one_message():
    connect()
    answers = at_once([lambda: once("key:a", "order-1", "digest", NOW, accept_one)] * 50)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert Message.objects.count() == 1
    assert {answer[0] for answer in answers} == {202}
    assert {answer[1]["id"] for answer in answers} == {str(Message.objects.get().uid)}
    assert sorted(answer[2] for answer in answers) == [False] + [True] * 49


@pytest.mark.django_db(transaction=True)
def test_of_requests_that_differ_one_works_and_the_others_are_refused():
    connect()
    answers = at_once(
        [lambda n=n: once("key:a", "order-1", f"digest {n}", NOW, accept_one) for n in range(20)]
    )
    assert sum(isinstance(answer, KeyReused) for answer in answers) == 19
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_where_the_first_of_several_fails_another_one_works():
    connect()
    failed = threading.Event()

    def work():
        if not failed.is_set():
            failed.set()
            raise RuntimeError
        return accept_one()

    answers = at_once([lambda: once("key:a", "order-1", "digest", NOW, work)] * 10)
    assert sum(isinstance(answer, RuntimeError) for answer in answers) == 1
    assert Message.objects.count() == 1
    assert sum(answer[2] is False for answer in answers if not isinstance(answer, Exception)) == 1
