"""Invoices over HTTP."""

import base64
from email import message_from_bytes, policy

import pytest

from api.client import key_with
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Invoice, Message

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.4\r\n\x00\xff\n\r" + bytes(range(256)) * 20
BODY = {
    "number": "2026/118", "to": "Ann <ann@example.net>", "pdf": base64.b64encode(PDF).decode(),
    "amount": "1234.50", "currency": "EUR", "due": "2026-12-31", "language": "fr",
}  # fmt: skip


def fields(response):
    assert response.status_code == 422
    return [one["field"] for one in response.json()["errors"]]


def test_the_pdf_travels_byte_for_byte_with_the_words_of_the_template(api, office):
    response = api.post("/invoices", BODY)
    assert response.status_code == 202, response.content
    body = response.json()
    assert (body["number"], body["state"], body["accepted"], body["due"]) == (
        "2026/118",
        "queued",
        False,
        "2026-12-31",
    )
    mail = message_from_bytes(content_of(Message.objects.get(uid=body["message"])).raw, policy=policy.default)
    (attachment,) = mail.iter_attachments()
    assert attachment.get_content() == PDF
    assert (attachment.get_filename(), attachment.get_content_type()) == ("2026-118.pdf", "application/pdf")
    assert mail["Subject"] == "Facture 2026/118"
    text = mail.get_body(("plain",)).get_content()
    assert "Bonjour Ann," in text
    assert "Montant\xa0: 1\u202f234,50\xa0€" in text
    assert "À payer avant le\xa0: 31 décembre 2026" in text


def test_the_same_again_is_409_and_says_when(api, office):
    first = api.post("/invoices", BODY).json()["message"]
    response = api.post("/invoices", BODY)
    assert response.status_code == 409
    assert first in response.json()["detail"]
    assert response.json()["code"] == "invoice_sent"
    assert "was taken for ann@example.net at 20" in response.json()["detail"]
    repeated = [api.post("/invoices", BODY | {"again": first}).json() for _ in range(2)]
    assert [one["again"] for one in repeated] == [1, 1]
    assert repeated[0]["message"] == repeated[1]["message"] != first
    assert fields(api.post("/invoices", BODY | {"again": True})) == ["again"]
    assert Invoice.objects.count() == 2


def test_an_idempotency_key_gives_the_first_answer_again(api, office):
    first, second = (api.post("/invoices", BODY, Idempotency_Key="k") for _ in range(2))
    assert first.json() == second.json()
    assert Invoice.objects.count() == 1


def test_what_became_of_a_number_is_answered(api, office):
    api.post("/invoices", BODY)
    answer = api.get("/invoices/2026/118").json()
    assert answer["number"] == "2026/118"
    assert [(one["recipient"], one["accepted"], one["server"], one["reply"]) for one in answer["items"]] == [
        ("ann@example.net", False, None, None)
    ]
    assert api.get("/invoices/nosuch").status_code == 404
    assert [one["number"] for one in api.get("/invoices?search=ann").json()["items"]] == ["2026/118"]
    assert api.get("/invoices?search=nobody").json()["items"] == []


def test_the_list_is_paged(api, office):
    for number in range(3):
        api.post("/invoices", BODY | {"number": str(number)})
    first = api.get("/invoices?limit=2").json()
    assert [one["number"] for one in first["items"]] == ["2", "1"]
    second = api.get(f"/invoices?limit=2&cursor={first['next']}").json()
    assert ([one["number"] for one in second["items"]], second["next"]) == (["0"], None)


def test_a_key_that_only_sends_sees_its_own(api, office):
    api.post("/invoices", BODY)
    other = key_with("send")
    assert other.get("/invoices").json()["items"] == []
    assert other.get("/invoices/2026/118").status_code == 404
    assert other.post("/invoices", BODY).status_code == 409  # whoever asks: nobody is billed twice


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"number": None, "to": None, "pdf": None}, ["number", "to", "pdf"]),
        ({"pdf": "%%%"}, ["pdf"]),
        ({"pdf": base64.b64encode(b"PK").decode()}, ["pdf"]),
        ({"amount": "12,50"}, ["amount"]),
        ({"amount": True}, ["amount"]),
        ({"due": "31/12/2026"}, ["due"]),
        ({"data": {"number": 5}, "amount": 12.5, "currency": "euro"}, ["currency"]),
        ({"colour": "red"}, ["colour"]),
        ({"to": ["a@example.net", "b@example.net"]}, ["to"]),
    ],
)  # fmt: skip
def test_faults_stand_at_their_fields(api, office, changes, expected):
    assert fields(api.post("/invoices", BODY | changes)) == expected
    assert Message.objects.count() == 0
