"""An answer given once is given again: the work is done once (D1, I10)."""

import threading

import pytest
from django.db import connection as database

from api.client import Api, connection, fields_of, key_with
from vaguemestre.ledger.models import Connection, Idempotency, Message

TO = {"to": "ann@example.net", "text": "Hello"}


@pytest.mark.django_db
def test_the_same_key_and_body_is_the_same_answer(api, office):
    first = api.post("/messages", TO, Idempotency_Key="order-17")
    again = api.post("/messages", TO, Idempotency_Key="order-17")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Message.objects.count() == 1


@pytest.mark.django_db
def test_i10_the_same_key_with_another_body_is_422(api, office):
    api.post("/messages", TO, Idempotency_Key="order-17")
    for method, path, body in [
        ("POST", "/messages", TO | {"text": "other"}),
        ("POST", "/connections", {"name": "x"}),
    ]:
        response = api.call(method, path, body, Idempotency_Key="order-17")
        assert (response.status_code, fields_of(response)) == (422, ["Idempotency-Key"])
    assert Message.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\x7f", "a\tb"])
def test_i10_what_is_no_key_is_400(api, key):
    response = api.post("/messages", TO, Idempotency_Key=key)
    assert (response.status_code, fields_of(response)) == (400, ["Idempotency-Key"])


@pytest.mark.django_db
def test_i10_a_key_of_255_characters_is_taken(api):
    assert api.post("/messages", TO, Idempotency_Key="x" * 255).status_code == 202


@pytest.mark.django_db
def test_a_refusal_is_not_remembered(api, office):
    assert api.post("/messages", TO | {"to": "nobody"}, Idempotency_Key="1").status_code == 422
    assert Idempotency.objects.count() == 0
    assert api.post("/messages", TO, Idempotency_Key="1").status_code == 202


@pytest.mark.django_db
def test_keys_of_two_submitters_have_nothing_to_do_with_each_other(api, office):
    other = key_with("send")
    first = api.post("/messages", TO, Idempotency_Key="1").json()["id"]
    assert other.post("/messages", TO, Idempotency_Key="1").json()["id"] != first


@pytest.mark.django_db
def test_every_post_heeds_it_but_new_keys_many_transactions_and_what_changes_nothing(api):
    document = api.get("/openapi.json").json()
    heeding = {
        operations["post"]["operationId"]
        for operations in document["paths"].values()
        if "post" in operations
        and any(parameter["name"] == "Idempotency-Key" for parameter in operations["post"]["parameters"])
    }
    posts = {
        operations["post"]["operationId"] for operations in document["paths"].values() if "post" in operations
    }
    changing_nothing = {
        "verifyTypedConnection",
        "verifyConnection",
        "explainRoute",
        "previewDefault",
        "previewDeparture",
        "previewSettings",
        "recogniseProvider",
        "renderTemplate",
    }
    assert posts - heeding == {"createKey", "resumeSending", *changing_nothing}


@pytest.mark.django_db
def test_a_connection_is_created_once_and_its_password_is_not_remembered(api):
    values = {
        "name": "O",
        "sender_email": "a@b.c",
        "host": "smtp.example.org",
        "login": "a",
        "password": "canary-55",
    }
    first = api.post("/connections", values, Idempotency_Key="1")
    assert first.status_code == 201
    assert api.post("/connections", values, Idempotency_Key="1").content == first.content
    assert Connection.objects.count() == 1
    assert "canary" not in str(Idempotency.objects.values_list("body", "digest", "key").get())


@pytest.mark.django_db(transaction=True)
def test_i10_fifty_at_once_with_the_same_key_are_one_message():
    connection("Office")
    key = key_with("send").key
    answers, barrier = [], threading.Barrier(50)

    def post():
        barrier.wait()
        response = Api(key).post("/messages", TO, Idempotency_Key="once")
        answers.append((response.status_code, response.content))
        database.close()

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert {status for status, _ in answers} == {202}
    assert len(set(answers)) == 1
    assert Message.objects.count() == 1
