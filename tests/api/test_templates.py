"""Templates over HTTP, messages written from them, and notifications."""

from email import message_from_bytes, policy

import pytest

from api.client import key_with
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message, User

pytestmark = pytest.mark.django_db

INVOICE = {"number": "2026-118", "amount": "1234.50", "currency": "EUR"}


def read(response):
    assert response.status_code == 202, response.content
    message = Message.objects.get(uid=response.json()["id"])
    return message, message_from_bytes(content_of(message).raw, policy=policy.default)


def fault(response, status=422):
    assert response.status_code == status
    return [(one["field"], one["message"]) for one in response.json()["errors"]]


def test_starters_are_listed_and_a_stored_one_takes_their_place(api):
    listed = api.get("/templates").json()["items"]
    assert {(one["key"], one["language"]) for one in listed} >= {("invoice", "fr"), ("password-reset", "it")}
    assert all(one["built_in"] and one["version"] == 0 for one in listed)
    body = {"subject": "Note {{ number }}", "text": "Bonjour"}
    saved = api.put("/templates/invoice/fr", body).json()
    assert (saved["version"], saved["built_in"], saved["stream"]) == (1, False, None)
    assert api.get("/templates/invoice/fr").json() == saved
    assert api.delete("/templates/invoice/fr").status_code == 204
    assert api.get("/templates/invoice/fr").json()["built_in"] is True
    assert api.delete("/templates/invoice/fr").status_code == 404


def test_a_template_of_a_streams_own_is_found_with_the_stream(api):
    body = {"subject": "S", "text": "T", "stream": "support"}
    assert api.put("/templates/invoice/fr", body).json()["stream"] == "support"
    assert api.get("/templates/invoice/fr").json()["built_in"] is True
    assert api.get("/templates/invoice/fr?stream=support").json()["subject"] == "S"


def test_faults_of_a_template_are_told_at_the_part_and_line(api):
    response = api.put("/templates/invoice/fr", {"subject": "S", "html": "<p>\n{{ a | nosuch }}"})
    assert fault(response) == [("html", "Line 2 uses the filter nosuch, which there is not.")]


def test_what_a_template_makes_can_be_asked_beforehand(api):
    made = api.post("/templates/invoice/render", {"data": INVOICE, "language": "it"}).json()
    assert (made["subject"], made["language"]) == ("Fattura 2026-118", "it")
    assert "Importo: 1.234,50\xa0€" in made["text"]
    assert Message.objects.count() == 0


def test_a_message_is_written_from_a_template(api, office):
    response = api.post(
        "/messages", {"to": "ann@example.net", "template": "invoice", "data": INVOICE, "language": "en"}
    )
    message, mail = read(response)
    assert message.subject == "Invoice 2026-118"
    assert "€1,234.50" in mail.get_body(("plain",)).get_content()
    assert 'lang="en"' in mail.get_body(("html",)).get_content()


def test_the_language_is_the_recipients_where_it_is_known_else_the_installations(api, office, settings):
    settings.LANGUAGE_CODE = "fr"
    User.objects.create_user("ann@example.net", language="it")
    asked = {"template": "invoice", "data": INVOICE}
    assert read(api.post("/messages", asked | {"to": "ann@example.net"}))[0].subject == "Fattura 2026-118"
    assert read(api.post("/messages", asked | {"to": "bob@example.net"}))[0].subject == "Facture 2026-118"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"template": "invoice", "data": {}}, ("data", "Template invoice (en), subject: Line 1 uses number, which the data does not hold.")),
        ({"template": "nosuch"}, ("template", "There is no template nosuch.")),
        ({"template": "invoice", "data": INVOICE, "text": "x"}, ("text", "The template writes this.")),
        ({"text": "x", "data": INVOICE}, ("data", "This goes with a template, and there is none.")),
        ({"template": "invoice", "data": [1]}, ("data", "An object is needed here.")),
        ({"template": "invoice", "data": {"number": "1\nBcc: eve@example.net"}}, ("data", "Template invoice (en), subject: A subject is one line; there is a line break in it.")),
    ],
)  # fmt: skip
def test_what_template_and_data_lack_is_told(api, office, values, expected):
    language = {"language": "en"} if "template" in values else {}
    assert fault(api.post("/messages", {"to": "ann@example.net"} | language | values)) == [expected]
    assert Message.objects.count() == 0


def test_each_message_of_a_batch_answers_for_its_own_template(api, office):
    one = {"to": "ann@example.net", "template": "invoice", "language": "en"}
    answer = api.post("/messages/batch", {"messages": [one | {"data": INVOICE}, one]}).json()["results"]
    assert [result.get("state", result.get("status")) for result in answer] == ["queued", 422]


def test_a_notification_leaves_through_its_stream(api, office):
    response = api.post(
        "/notifications",
        {
            "template": "account-notification",
            "recipient": {"email": "ann@example.net", "name": "Ann"},
            "data": {"title": "New sign-in", "message": "From Lyon"},
            "language": "en",
        },
    )
    message, mail = read(response)
    assert (message.stream.key, message.subject) == ("notifications", "New sign-in")
    assert mail["To"] == "Ann <ann@example.net>"


def test_a_notification_has_one_recipient_and_a_template(api, office):
    asked = {"template": "report", "data": {"title": "x"}}
    assert fault(api.post("/notifications", {})) == [
        ("template", "This is needed."),
        ("recipient", "This is needed."),
    ]
    assert fault(api.post("/notifications", asked | {"recipient": "nobody"}))[0][0] == "recipient"
    assert fault(
        api.post("/notifications", asked | {"recipient": "a@example.net", "cc": "b@example.net"})
    ) == [("cc", "There is no field cc.")]
    both = ["a@example.net", "b@example.net"]
    assert api.post("/notifications", asked | {"recipient": both}).status_code == 422


def test_a_key_that_is_limited_to_senders_names_one(api, office):
    key = key_with("send", senders=["office@example.org"])
    asked = {"template": "report", "data": {"title": "x"}, "recipient": "ann@example.net"}
    assert fault(key.post("/notifications", asked))[0][0] == "from"
    assert key.post("/notifications", asked | {"from": "office@example.org"}).status_code == 202


def test_a_key_that_sends_reads_templates_and_changes_none():
    key = key_with("send")
    assert key.get("/templates/invoice/fr").status_code == 200
    assert key.put("/templates/invoice/fr", {"subject": "S", "text": "T"}).status_code == 403
    assert key.delete("/templates/invoice/fr").status_code == 403
