"""Reports of other programs over HTTP."""

import base64
from email import message_from_bytes, policy

import pytest

from api.client import key_with
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message

pytestmark = pytest.mark.django_db
FILE = bytes(range(256)) * 30 + b"\r\n.\r\n\n\r"
BODY = {
    "to": ["Ann <ann@example.net>", "tom@example.net"], "file": base64.b64encode(FILE).decode(),
    "filename": "ventes semaine 47.xlsx", "subject": "Ventes", "text": "Bonjour,\nvoici <les ventes>.",
    "language": "fr",
}  # fmt: skip


def mail_of(response):
    assert response.status_code == 202, response.content
    raw = content_of(Message.objects.get(uid=response.json()["id"])).raw
    return message_from_bytes(raw, policy=policy.default)


def fields(response):
    assert response.status_code == 422
    return [one["field"] for one in response.json()["errors"]]


def test_the_file_travels_byte_for_byte_with_a_few_words_through_the_stream_of_reports(api, office):
    mail = mail_of(api.post("/reports", BODY))
    (attachment,) = mail.iter_attachments()
    assert attachment.get_content() == FILE
    assert attachment.get_filename() == "ventes semaine 47.xlsx"
    assert (mail["Subject"], mail["To"]) == ("Ventes", "Ann <ann@example.net>, tom@example.net")
    assert "Bonjour,\r\nvoici <les ventes>." in mail.get_body(("plain",)).get_content()
    assert "&lt;les ventes&gt;" in mail.get_body(("html",)).get_content()
    assert Message.objects.get().stream.key == "reports"


@pytest.mark.parametrize(
    "name", ["log.txt", "page.html", "data.csv", "mail.eml", "x.tar.gz", "noname", ".env"]
)
def test_whatever_a_file_is_called_its_bytes_stay(api, office, name):
    mail = mail_of(api.post("/reports", BODY | {"filename": name, "subject": ""}))
    (attachment,) = mail.iter_attachments()
    assert attachment.get_payload(decode=True) == FILE
    assert mail["Subject"] == name


def test_the_same_request_with_its_key_is_one_message(api, office):
    first, second = (api.post("/reports", BODY, Idempotency_Key="k") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert Message.objects.count() == 1


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"to": None, "file": None, "filename": None}, ["to", "file", "filename"]),
        ({"to": []}, ["to"]),
        ({"to": "nobody"}, ["to"]),
        ({"file": "%%%"}, ["file"]),
        ({"filename": "../etc/passwd"}, ["filename"]),
        ({"filename": "a\r\nb"}, ["filename"]),
        ({"subject": "a\r\nBcc: x@example.net"}, ["subject"]),
        ({"subject": 5}, ["subject"]),
        ({"stream": "nosuch"}, ["stream"]),
        ({"template": "nosuch"}, ["template"]),
        ({"on_doubt": "maybe"}, ["on_doubt"]),
        ({"colour": "red"}, ["colour"]),
    ],
)  # fmt: skip
def test_faults_stand_at_their_fields(api, office, changes, expected):
    assert fields(api.post("/reports", BODY | changes)) == expected
    assert Message.objects.count() == 0


def test_a_key_of_other_streams_may_not(api, office):
    limited = key_with("send", streams=["invoices"])
    assert fields(limited.post("/reports", BODY)) == ["stream"]


def test_the_schedule_of_the_weekly_report_is_read_and_set(api):
    first = api.get("/reports/schedule").json()
    assert (first["active"], first["recipients"], first["next_at"]) == (False, [], None)
    wanted = {"active": True, "recipients": ["ann@example.net"], "weekday": 4, "hour": 17, "zone": "UTC"}
    saved = api.patch("/reports/schedule", wanted).json()
    assert {name: saved[name] for name in wanted} == wanted
    assert saved["next_at"].endswith("T17:00:00Z")
    assert api.patch("/reports/schedule", {"hour": 6}).json()["weekday"] == 4
    assert api.get("/reports/schedule").json()["hour"] == 6


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"active": True}, "recipients"),
        ({"active": "yes"}, "active"),
        ({"recipients": "ann@example.net"}, "recipients"),
        ({"recipients": ["nobody"]}, "recipients"),
        ({"weekday": 7}, "weekday"),
        ({"weekday": True}, "weekday"),
        ({"hour": 24}, "hour"),
        ({"zone": "Paris"}, "zone"),
        ({"language": "de"}, "language"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_at_its_field(api, changes, field):
    assert fields(api.patch("/reports/schedule", changes)) == [field]
    assert api.get("/reports/schedule").json()["active"] is False


def test_the_schedule_is_for_administrators(api):
    assert key_with("send").get("/reports/schedule").status_code == 403
