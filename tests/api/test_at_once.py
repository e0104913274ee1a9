"""Requests of several threads, which share their commits: every 202 is in the ledger, and every refusal is one's own."""

import pytest
from django.utils import timezone

from api.client import Api, connection, key_with
from ledger.kit import at_once
from vaguemestre.ledger.models import ApiKey, Message

TO = {"to": "ann@example.net", "text": "Hello"}
RAW = b"From: shop@example.com\r\nTo: ann@example.net\r\n\r\nbody\r\n"

pytestmark = pytest.mark.django_db(transaction=True)


def clients(count):
    """Clients of one key, one for each thread."""
    key = key_with("send").key
    return [Api(key) for _ in range(count)]


def test_every_202_of_many_threads_is_in_the_ledger():
    connection("Office")

    def hand_over(api):
        posted = [api.post("/messages", TO | {"subject": str(number)}) for number in range(10)]
        return [*posted, api.post("/messages/raw", raw=RAW, content_type="message/rfc822")]

    answers = at_once([lambda api=api: hand_over(api) for api in clients(8)])
    responses = [response for of_thread in answers for response in of_thread]
    assert {response.status_code for response in responses} == {202}
    told = {response.json()["id"] for response in responses}
    assert len(told) == 88
    assert told == {str(uid) for uid in Message.objects.values_list("uid", flat=True)}


def test_a_fault_of_one_thread_is_told_to_that_one_alone():
    connection("Office")
    asked = [TO | ({"stream": "none"} if number == 3 else {}) for number in range(8)]
    responses = at_once([
        lambda api=api, body=body: api.post("/messages", body)
        for api, body in zip(clients(8), asked, strict=True)
    ])  # fmt: skip
    assert [response.status_code for response in responses] == [422 if n == 3 else 202 for n in range(8)]
    assert Message.objects.count() == 7


def test_a_batch_and_single_messages_at_once_are_all_taken():
    connection("Office")
    batching, *others = clients(5)
    jobs = [lambda: [batching.post("/messages/batch", {"messages": [TO] * 200})]]
    jobs += [lambda api=api: [api.post("/messages", TO) for _ in range(5)] for api in others]
    answers = at_once(jobs)
    assert {response.status_code for of_thread in answers for response in of_thread} == {202}
    assert len(answers[0][0].json()["results"]) == 200
    assert Message.objects.count() == 220


def test_one_idempotency_key_of_many_threads_is_one_message():
    connection("Office")
    responses = at_once(
        [lambda api=api: api.post("/messages", TO, Idempotency_Key="one") for api in clients(8)]
    )
    assert {response.json()["id"] for response in responses} == {str(Message.objects.get().uid)}


def test_a_key_that_was_revoked_since_it_was_checked_is_refused():
    connection("Office")
    api = key_with("send")
    assert api.post("/messages", TO).status_code == 202
    ApiKey.objects.update(revoked_at=timezone.now())  # by another process: what was checked stands a moment
    refused = api.post("/messages", TO)
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert Message.objects.count() == 1
