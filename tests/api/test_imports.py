"""Connections out of a pasted configuration, over HTTP: all or none, and no password comes back."""

import json
from pathlib import Path

from api.client import key_with
from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection

PASTED = Path(__file__).parents[1] / "providers" / "pasted"
LARAVEL = (PASTED / "laravel.env").read_text()
POSTFIX = (PASTED / "postfix.txt").read_text()


def test_what_is_pasted_becomes_a_connection_whose_password_stays_here(api):
    answer = api.post("/connections/import", {"text": LARAVEL})
    told = answer.json()
    (made,) = told["created"]
    assert (made["name"], made["host"], made["port"], made["active"], made["has_password"]) == (
        "contact@sainte-foy.example", "ssl0.ovh.net", 465, False, True,
    )  # fmt: skip
    assert vault.secret_of(Connection.objects.get()).reveal() == 'p@ss#mot "7"'
    assert "p@ss" not in answer.content.decode()
    assert "pas-celui-ci" not in answer.content.decode()
    assert [line["text"] for line in told["not_understood"]] == [
        "Line 15, MAIL_MARKDOWN_THEME: it is about mail, but nothing here corresponds to it."
    ]


def test_a_dry_run_tells_what_would_be_and_creates_nothing(api):
    told = api.post("/connections/import?dry_run=true", {"text": POSTFIX}).json()
    assert (told["kind"], told["created"], len(told["found"])) == ("postfix", [], 3)
    assert [one["has_password"] for one in told["found"]] == [True] * 3
    assert "abcdefgh" not in json.dumps(told)
    assert not Connection.objects.exists()


def test_several_are_created_together_or_not_at_all(api):
    assert len(api.post("/connections/import", {"text": POSTFIX, "active": True}).json()["created"]) == 3
    again = api.post("/connections/import", {"text": POSTFIX})
    assert again.status_code == 422
    assert again.json()["errors"][0]["field"] == "connections[0].name"
    assert Connection.objects.filter(active=True).count() == 3


def test_what_the_text_lacks_is_given_beside_it(api):
    text = (PASTED / "settings.py.txt").read_text()
    refused = api.post("/connections/import", {"text": text})
    assert refused.json()["errors"][0]["field"] == "connections[0].password"
    values = {"password": "une-clef", "name": "Intranet"}
    (made,) = api.post("/connections/import", {"text": text, "values": values}).json()["created"]
    assert (made["name"], made["has_password"]) == ("Intranet", True)


def test_a_text_without_an_account_and_wrong_fields_are_refused(api):
    for body, field in (
        ({"text": "DB_HOST=x"}, "text"),
        ({"text": LARAVEL, "kind": "msmtp"}, "kind"),
        ({"text": LARAVEL, "values": [1]}, "values"),
        ({"text": LARAVEL, "values": {"colour": "red"}}, "connections[0].colour"),
        ({"text": POSTFIX, "values": {"name": "A"}}, "values"),
        ({"text": LARAVEL, "active": "yes"}, "active"),
        ({"text": "x" * 200_000}, "text"),
    ):
        answer = api.post("/connections/import", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert not Connection.objects.exists()


def test_only_a_key_for_connections_may_import(db):
    assert key_with("send", "read").post("/connections/import", {"text": LARAVEL}).status_code == 403
