"""What naming a default, deactivating and deleting would change, over HTTP; and undoing it."""

from dataclasses import replace

import pytest

from api.client import connection
from scripted.dns import DnsServer
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db

ZONE = {
    ("example.org", "MX"): ["10 mail.example.org."],
}


@pytest.fixture
def dns(settings):
    with DnsServer(ZONE) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        yield server


def send(api, stream=None, **values):
    plain = {"to": "a@example.com", "subject": "x", "text": "x", "stream": stream}
    assert api.post("/messages", plain | values).status_code == 202


def test_the_preview_of_a_default_counts_streams_names_the_demoted_and_asks_dns(api, dns):
    office = connection("Office", sender_email="office@example.org", reply_to="desk@example.org")
    connection("Old", sender_email="old@example.org", is_default=True)
    send(api, "marketing"), send(api, "marketing"), send(api)
    found = api.post(f"/connections/{office.uid}/default-preview").json()
    assert {one["stream"]: (one["messages"], one["changed"]) for one in found["streams"]} == {
        "marketing": (2, 2),
        None: (1, 1),
    }
    assert (found["messages"], found["changed"], found["days"], found["mode"]) == (3, 3, 30, "override")
    assert (found["from"], found["reply_to"]) == ("office@example.org", "desk@example.org")
    assert (found["demoted"]["name"], found["waiting"], found["more"]) == ("Old", 3, False)
    points = {point["code"]: point["severity"] for point in found["deliverability"]["points"]}
    assert points["spf_missing"] == "error"
    assert Connection.objects.get(is_default=True).name == "Old"


def test_another_meaning_of_the_default_is_previewed_like_another_default(api):
    assert api.post("/settings/preview", {"default_mode": "fallback"}).json()["from"] is None
    connection("Office", sender_email="office@example.org", is_default=True)
    marketing = connection("Marketing", sender_email="news@example.org")
    api.patch("/streams/marketing", {"connection": str(marketing.uid)})
    send(api, "marketing"), send(api)
    found = api.post("/settings/preview", {"default_mode": "fallback"}).json()
    assert (found["messages"], found["changed"], found["from"]) == (2, 1, "office@example.org")
    assert api.get("/settings").json()["default_mode"] == "override"
    refused = api.post("/settings/preview", {"default_mode": "never"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "default_mode")


def test_the_preview_of_a_departure_says_where_the_waiting_go_and_what_names_it(api):
    office, other = connection("Office"), connection("Other")
    api.patch("/streams/support", {"connection": str(office.uid)})
    send(api, "support")
    found = api.post(f"/connections/{office.uid}/departure-preview", {"act": "deactivate"}).json()
    assert found["waiting"] == 1
    assert [(one["connection_name"], one["reason"]["code"], one["deliveries"]) for one in found["fates"]] == [
        (None, "stream_inactive", 1)
    ]
    assert [(one["kind"], one["key"], one["connection_name"]) for one in found["referrers"]] == [
        ("stream", "support", None)
    ]
    assert api.delete(f"/connections/{office.uid}").status_code == 409
    assert api.delete(f"/connections/{office.uid}", query={"reassign": "nobody"}).status_code == 422
    assert api.delete(f"/connections/{office.uid}", query={"reassign": str(other.uid)}).status_code == 204
    assert api.get("/streams/support").json()["connection"] == str(other.uid)


def test_a_departure_question_that_makes_no_sense_is_refused_at_its_field(api):
    office = connection("Office")
    for body, field in (
        ({}, "act"),
        ({"act": "leave"}, "act"),
        ({"act": "delete", "successor": "nobody"}, "successor"),
        ({"act": "delete", "colour": 1}, "colour"),
    ):
        answer = api.post(f"/connections/{office.uid}/departure-preview", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_the_last_change_of_the_default_is_shown_and_undone_once(api):
    first, second = connection("First", is_default=True), connection("Second")
    api.patch(f"/connections/{second.uid}", {"is_default": True})
    found = api.get("/default-change").json()
    assert (found["undoable"], found["previous"]["name"], found["chosen"]["name"]) == (
        True,
        "First",
        "Second",
    )
    answer = api.post("/default-change/undo")
    assert (answer.status_code, answer.json()["id"], answer.json()["demoted"]) == (
        200, str(first.uid), [str(second.uid)],
    )  # fmt: skip
    assert api.get("/default-change").json()["undoable"] is False
    again = api.post("/default-change/undo")
    assert again.status_code == 409
    assert "undo" in again.json()["detail"]


def test_why_a_change_cannot_be_undone_is_said(api):
    first, second = connection("First", is_default=True), connection("Second")
    api.patch(f"/connections/{second.uid}", {"is_default": True})
    api.delete(f"/connections/{first.uid}")
    found = api.get("/default-change").json()
    assert not found["undoable"]
    assert "First” was deleted" in found["refusal"]
    assert api.post("/default-change/undo").status_code == 409


def test_who_unsubscribed_is_listed_noted_and_let_in_again(api):
    path = "/streams/marketing/opt-outs"
    assert api.get(path).json() == {"items": [], "next": None}
    assert api.post(path, {"address": "Léa@Example.com"}).status_code == 200
    for address in ("b@example.com", "B@example.com"):
        assert api.post(path, {"address": address}).status_code == 200
    assert [one["address"] for one in api.get(path).json()["items"]] == ["b@example.com", "léa@example.com"]
    connection("Office")
    refused = api.post(
        "/messages", {"to": "b@example.com", "subject": "x", "text": "x", "stream": "marketing"}
    )
    assert (refused.json()["state"], refused.json()["reason"]["code"]) == ("refused", "unsubscribed")
    assert api.delete(f"{path}/b@example.com").status_code == 204
    assert api.delete(f"{path}/b@example.com").status_code == 404
    assert api.post(path, {"address": "nobody"}).json()["errors"][0]["field"] == "address"
    assert api.get("/streams/nowhere/opt-outs").status_code == 404
