"""Messages over HTTP: one, many, raw; reading them; deciding about them."""

import base64
import email
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from email import policy

import pytest
from django.conf import settings

from api.client import connection, fields_of
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Chunk, Delivery, Message

pytestmark = pytest.mark.django_db

TO = {"to": "ann@example.net", "text": "Hello"}


def stored(response):
    return Message.objects.get(uid=response.json()["id"])


def test_202_has_exactly_the_promised_body(api, office):
    response = api.post("/messages", TO | {"cc": ["bob@example.net"], "bcc": {"email": "eve@example.net"}})
    assert response.status_code == 202
    body = response.json()
    assert list(body) == ["id", "state", "connection", "reason", "deliveries"]
    assert (body["state"], body["connection"]) == ("queued", str(office.uid))
    assert body["reason"] == {"code": "only_active", "text": "“Office” is the only active connection."}
    assert body["deliveries"] == [
        {"recipient": address, "state": "queued"}
        for address in ("ann@example.net", "bob@example.net", "eve@example.net")
    ]


def test_without_a_connection_it_is_held_and_says_why(api):
    body = api.post("/messages", TO).json()
    assert (body["state"], body["connection"], body["reason"]["code"]) == (
        "held",
        None,
        "no_active_connection",
    )


def test_reasons_are_english_whatever_the_reader_prefers(api, office):
    response = api.post("/messages", TO, Accept_Language="fr")
    assert response.json()["reason"]["text"] == "“Office” is the only active connection."
    assert response["Content-Language"] == "en"
    assert api.get("/messages/none", Accept_Language="fr")["Content-Language"] == "en"


def test_what_was_posted_is_what_is_stored(api, office):
    data = random.Random(3).randbytes(400_000)
    response = api.post(
        "/messages",
        {
            "to": [{"email": "ann@example.net", "name": "Ann, née Étienne"}],
            "cc": "Bob <bob@café.example>",
            "from": {"email": "ceo@example.com", "name": "Le Chef"},
            "reply_to": "reply@example.com",
            "subject": "Facture n° 12 — réglée",
            "text": "Bonjour\nà vous",
            "html": "<p>Bonjour à vous</p>",
            "attachments": [
                {
                    "filename": "été.pdf",
                    "content_type": "application/pdf",
                    "content": base64.b64encode(data).decode(),
                }
            ],
            "headers": {"X-Ticket": "17"},
            "tags": ["a", "b"],
            "metadata": {"order": "17"},
        },
    )
    assert response.status_code == 202
    message = stored(response)
    raw = content_of(message).raw
    assert Chunk.objects.filter(message=message).count() > 1
    parsed = email.message_from_bytes(raw, policy=policy.default)
    assert parsed["Subject"] == "Facture n° 12 — réglée"
    assert parsed["Cc"] == "Bob <bob@xn--caf-dma.example>"
    assert parsed["X-Ticket"] == "17"
    assert parsed.get_body(("plain",)).get_payload(decode=True).decode() == "Bonjour\r\nà vous\r\n"
    (attachment,) = parsed.iter_attachments()
    assert attachment.get_filename() == "été.pdf"
    assert hashlib.sha256(attachment.get_content()).digest() == hashlib.sha256(data).digest()
    shown = api.get(f"/messages/{message.uid}").json()
    assert (shown["tags"], shown["metadata"], shown["subject"]) == (
        ["a", "b"],
        {"order": "17"},
        parsed["Subject"],
    )
    assert shown["from"] == {"email": "ceo@example.com", "name": "Le Chef"}
    assert shown["reply_to"] == "reply@example.com"


def test_a_message_without_from_leaves_as_its_connection(api, office):
    response = api.post("/messages", TO)
    delivery = Delivery.objects.get(message=stored(response))
    assert delivery.route["reverse_path"] == "office@example.org"
    assert delivery.route["sender"]["email"] == "office@example.org"
    assert api.get(f"/messages/{response.json()['id']}").json()["reverse_path"] is None


def test_with_a_default_it_leaves_as_the_default_whatever_it_asks(api, office):
    default = connection(
        "Main", sender_email="main@example.org", is_default=True, reply_to="desk@example.org"
    )
    response = api.post(
        "/messages", TO | {"from": "x@example.net", "reply_to": "y@example.net", "connection": "Office"}
    )
    body = response.json()
    assert (body["connection"], body["reason"]["code"]) == (str(default.uid), "default_override")
    route = Delivery.objects.get(message=stored(response)).route
    assert (route["sender"]["email"], route["reply_to"]) == ("main@example.org", "desk@example.org")


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"to": None}, ["to"]),
        ({"to": []}, ["to"]),
        ({"to": "nobody"}, ["to"]),
        ({"to": ["a@b.c", "nobody"]}, ["to[1]"]),
        ({"to": [{"email": "a@b.c", "name": "x\r\nBcc: y"}]}, ["to[0].name"]),
        ({"to": [{"name": "x"}]}, ["to[0].email"]),
        ({"to": 5}, ["to"]),
        ({"cc": [[]]}, ["cc[0]"]),
        ({"bcc": "a@b.c, d@e.f"}, ["bcc"]),
        ({"from": ["a@b.c"]}, ["from"]),
        ({"reply_to": "x"}, ["reply_to"]),
        ({"subject": "a\r\nBcc: x@y.z"}, ["subject"]),
        ({"subject": ["a"]}, ["subject"]),
        ({"subject": "x" * 3000}, ["subject"]),
        ({"text": None}, ["text"]),
        ({"text": 5}, ["text"]),
        ({"html": {}}, ["html"]),
        ({"attachments": {}}, ["attachments"]),
        ({"attachments": ["x"]}, ["attachments[0]"]),
        ({"attachments": [{"filename": "a"}]}, ["attachments[0].content"]),
        ({"attachments": [{"filename": "a", "content": "é"}]}, ["attachments[0].content"]),
        ({"attachments": [{"filename": "a", "content": "QQ"}]}, ["attachments[0].content"]),
        ({"attachments": [{"filename": "../a", "content": "QQ=="}]}, ["attachments[0].filename"]),
        ({"attachments": [{"filename": "a\r\nb", "content": "QQ=="}]}, ["attachments[0].filename"]),
        ({"attachments": [{"filename": 5, "content": "QQ=="}]}, ["attachments[0].filename"]),
        (
            {"attachments": [{"filename": "a", "content": "QQ==", "content_type": "x"}]},
            ["attachments[0].content_type"],
        ),
        ({"attachments": [{"filename": "a", "content": "QQ==", "url": "http://x"}]}, ["attachments[0].url"]),
        ({"headers": {"X-A": "a\nb"}}, ["headers.X-A"]),
        ({"headers": {"Bcc": "a@b.c"}}, ["headers.Bcc"]),
        ({"headers": {"X-A": 5}}, ["headers.X-A"]),
        ({"headers": []}, ["headers"]),
        ({"stream": "none"}, ["stream"]),
        ({"stream": 5}, ["stream"]),
        ({"connection": "none"}, ["connection"]),
        ({"connection": []}, ["connection"]),
        ({"send_at": "tomorrow"}, ["send_at"]),
        ({"send_at": "2026-01-05T10:00:00"}, ["send_at"]),
        ({"send_at": 1700000000}, ["send_at"]),
        ({"send_at": "0001-01-01T00:00:00+14:00"}, ["send_at"]),
        ({"send_at": "9999-12-31T23:59:59-14:00"}, ["send_at"]),
        ({"send_at": "9999-12-31T23:59:59Z"}, ["send_at"]),
        ({"expires_at": "2001-01-01T00:00:00Z"}, ["expires_at"]),
        ({"tags": "a"}, ["tags"]),
        ({"tags": [5]}, ["tags[0]"]),
        ({"tags": [""]}, ["tags"]),
        ({"tags": ["a"] * 21}, ["tags"]),
        ({"metadata": {"a": 5}}, ["metadata.a"]),
        ({"metadata": {"a": "x" * 20_000}}, ["metadata"]),
        ({"on_doubt": "maybe"}, ["on_doubt"]),
        ({"on_doubt": []}, ["on_doubt"]),
        ({"template": "x"}, ["text"]),
        ({"data": {"a": 1}}, ["data"]),
        ({"colour": "red"}, ["colour"]),
        ({"to": "x", "subject": 5, "tags": 5}, ["to", "subject", "tags"]),
        ({"to": "a\u2028@b.c"}, ["to"]),
        ({"subject": "a\u0000b"}, ["subject"]),
    ],
)
def test_i09_a_fault_is_refused_at_its_path_and_nothing_is_kept(api, office, changes, fields):
    response = api.post("/messages", TO | changes)
    assert (response.status_code, fields_of(response)) == (422, fields)
    assert Message.objects.count() == 0


def test_send_at_and_expires_at_are_kept_in_utc(api, office):
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    response = api.post(
        "/messages", TO | {"send_at": soon.isoformat(), "expires_at": (soon + timedelta(hours=1)).isoformat()}
    )
    delivery = Delivery.objects.get(message=stored(response))
    assert (delivery.next_attempt_at, delivery.expires_at) == (soon, soon + timedelta(hours=1))


@pytest.mark.any_database
def test_a_message_beyond_the_limit_is_413(api, office):
    size = settings.ENVIRONMENT.max_message_bytes
    just_over = base64.b64encode(b"x" * (size * 74 // 100)).decode()
    response = api.post("/messages", TO | {"attachments": [{"filename": "a", "content": just_over}]})
    assert response.status_code == 413
    just_under = base64.b64encode(b"x" * (size * 72 // 100)).decode()
    response = api.post("/messages", TO | {"attachments": [{"filename": "a", "content": just_under}]})
    assert response.status_code == 202


def test_a_batch_answers_each_in_order(api, office):
    batch = [TO, {"to": "nobody", "text": "x"}, TO | {"stream": "none"}, TO | {"subject": "last"}, {}]
    response = api.post("/messages/batch", {"messages": batch})
    assert response.status_code == 202
    results = response.json()["results"]
    assert [result.get("status", 202) for result in results] == [202, 422, 422, 202, 422]
    assert results[1]["errors"][0]["field"] == "to"
    assert list(Message.objects.order_by("pk").values_list("subject", flat=True)) == ["", "last"]
    assert [results[0]["id"], results[3]["id"]] == [
        str(uid) for uid in Message.objects.order_by("pk").values_list("uid", flat=True)
    ]


@pytest.mark.parametrize("half", ["\0", "\ud800"], ids=["NUL", "half of a pair"])
def test_what_no_database_keeps_is_a_fault_of_its_own_message_in_a_batch(api, office, half):
    response = api.post("/messages/batch", {"messages": [TO, TO | {"subject": f"a{half}"}, TO]})
    assert response.status_code == 202
    results = response.json()["results"]
    assert [result.get("status", 202) for result in results] == [202, 422, 202]
    assert [fault["field"] for fault in results[1]["errors"]] == ["subject"]
    assert Message.objects.count() == 2


@pytest.mark.parametrize("octet", ["\x01", "\b", "\x0b", "\x1f", "\x7f"], ids=ascii)
@pytest.mark.parametrize("write", [json.dumps, lambda body: json.dumps(body, ensure_ascii=False)])
def test_a_control_character_is_a_fault_of_its_own_message_in_a_batch(api, office, octet, write):
    batch = {
        "messages": [TO, TO | {"text": f"a{octet}"}, TO | {"html": f"{octet}é"}, TO | {"text": "\f\t\r\n"}]
    }
    results = api.post("/messages/batch", raw=write(batch).encode()).json()["results"]
    assert [result.get("status", 202) for result in results] == [202, 422, 422, 202]
    assert [result["errors"][0]["field"] for result in results[1:3]] == ["text", "html"]


def test_a_batch_of_1000_is_taken_and_1001_refused(api, office):
    assert len(api.post("/messages/batch", {"messages": [TO] * 1000}).json()["results"]) == 1000
    assert Message.objects.count() == 1000
    response = api.post("/messages/batch", {"messages": [TO] * 1001})
    assert (response.status_code, fields_of(response)) == (422, ["messages"])


@pytest.mark.parametrize("body", [{}, {"messages": {}}, {"messages": None}, {"messages": []}])
def test_what_is_no_batch_is_refused(api, body):
    response = api.post("/messages/batch", body)
    assert (response.status_code, fields_of(response)) == (422, ["messages"])


def test_what_is_no_message_in_a_batch_is_refused_by_its_place(api):
    response = api.post("/messages/batch", {"messages": [TO, 5]})
    assert (response.status_code, fields_of(response)) == (422, ["messages[1]"])


RAW = b"From: Shop <shop@example.com>\r\nTo: ann@example.net, Bob <bob@example.net>\r\nCc: c@example.net\r\nSubject: hi\r\n\r\nbody\r\n"


def raw(api, body, query=None, content_type="message/rfc822", **headers):
    return api.post("/messages/raw", raw=body, query=query, content_type=content_type, **headers)


def test_a_raw_message_is_kept_byte_for_byte(api, office):
    response = raw(api, RAW)
    assert response.status_code == 202
    assert content_of(stored(response)).raw == RAW
    assert [d["recipient"] for d in response.json()["deliveries"]] == [
        "ann@example.net",
        "bob@example.net",
        "c@example.net",
    ]


def test_a_raw_message_takes_its_envelope_from_the_query(api, office):
    response = raw(
        api,
        RAW,
        {"from": "bounce@example.com", "to": ["x@example.net", "y@example.net"], "stream": "invoices"},
    )
    assert [d["recipient"] for d in response.json()["deliveries"]] == ["x@example.net", "y@example.net"]
    shown = api.get(f"/messages/{response.json()['id']}").json()
    assert (shown["reverse_path"], shown["stream"]) == ("bounce@example.com", "invoices")


def test_a_null_reverse_path_stays_null(api, office):
    response = raw(api, RAW, {"from": "", "to": "x@example.net"})
    assert Delivery.objects.get(message=stored(response)).route["reverse_path"] is None


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("body", "query", "field"),
    [
        (RAW.replace(b"\r\n", b"\n"), {}, "content"),
        (RAW + b".\n", {}, "content"),
        (RAW + b"\r.\r", {}, "content"),
        (b"Subject: x\r\n\r\nno recipient\r\n", {}, "to"),
        (b"no header\r\n\r\n", {"to": "a@b.c"}, "content"),
        (b"To: nobody\r\n\r\n", {}, "to"),
        (b"From: x\r\nTo: a@b.c\r\n\r\n", {}, "from"),
        (b"From: x\r\nTo: a@b.c\r\n\r\n", {"from": "a@b.c"}, "from"),
        (b"From: a@b.c\r\nFrom: d@e.f\r\nTo: a@b.c\r\n\r\n", {}, "from"),
        (RAW, {"to": ["a@b.c", "x"]}, "to[1]"),
        (RAW, {"from": "x"}, "from"),
        (RAW, {"stream": "none"}, "stream"),
        (RAW, {"connection": "none"}, "connection"),
        (RAW, {"on_doubt": "x"}, "on_doubt"),
        (RAW, {"stream": "a\0"}, "stream"),
        (RAW, {"to": "a@b.c\0"}, "to"),
        (b"To: " + b"a@b.c," * 2000 + b"\r\n\r\n", {}, "to"),
    ],
)
def test_i08_a_raw_message_that_is_none_is_refused(api, office, body, query, field):
    response = raw(api, body, query)
    assert (response.status_code, fields_of(response)) == (422, [field])
    assert Message.objects.count() == 0


def test_a_raw_message_beyond_the_limit_is_413(api, office):
    limit = settings.ENVIRONMENT.max_message_bytes
    assert raw(api, RAW + b"x" * limit).status_code == 413
    assert raw(api, RAW + b"x" * (limit - len(RAW))).status_code == 202


def test_messages_are_listed_the_latest_first_with_filters(api, office):
    connection("Shop", sender_email="shop@example.org")
    for number in range(5):
        api.post(
            "/messages",
            TO
            | {
                "subject": f"n{number}",
                "from": "shop@example.org" if number % 2 else "office@example.org",
                "stream": "invoices",
            },
        )
    api.post("/messages", TO | {"from": "x@example.com"})

    def subjects(**query):
        return [item["subject"] for item in api.get("/messages", query=query).json()["items"]]

    assert subjects() == ["", "n4", "n3", "n2", "n1", "n0"]
    assert subjects(stream="invoices", limit=2) == ["n4", "n3"]
    assert subjects(connection="Shop") == ["n3", "n1"]
    assert subjects(state="held") == [""]
    assert subjects(search="n2") == ["n2"]
    page = api.get("/messages", query={"limit": 4}).json()
    assert subjects(limit=4, cursor=page["next"]) == ["n1", "n0"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "sent"}, "state"),
        ({"connection": "none"}, "connection"),
        ({"search": "x" * 201}, "search"),
        ({"search": "a\0"}, "search"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(api, query, field):
    response = api.get("/messages", query=query)
    assert (response.status_code, fields_of(response)) == (422, [field])


def test_a_held_message_is_released_once_there_is_a_route(api):
    uid = api.post("/messages", TO).json()["id"]
    response = api.post(f"/messages/{uid}/release")
    assert (response.status_code, response.json()["code"]) == (409, "no_route")
    connection("Office")
    assert api.post(f"/messages/{uid}/release").json()["state"] == "queued"


def test_a_message_is_cancelled_once(api, office):
    uid = api.post("/messages", TO).json()["id"]
    assert api.post(f"/messages/{uid}/cancel").json()["state"] == "cancelled"
    response = api.post(f"/messages/{uid}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "terminal")


def test_a_message_is_sent_again_as_a_new_one(api, office):
    first = api.post("/messages", TO).json()["id"]
    again = api.post(f"/messages/{first}/resend")
    assert again.status_code == 202
    assert again.json()["id"] != first
    assert api.get(f"/messages/{again.json()['id']}").json()["resent_from"] == first


def in_doubt(api):
    """A message whose delivery may have arrived."""
    import uuid

    uid = api.post("/messages", TO).json()["id"]
    Delivery.objects.filter(message__uid=uid).update(
        state="in_doubt", doubts=1, doubt_reason="timeout", attempt=uuid.uuid4()
    )
    return uid, api.get(f"/messages/{uid}").json()["deliveries"][0]["attempt"]


def test_d10_a_doubt_is_resolved_once(api, office):
    uid, attempt = in_doubt(api)
    stale = api.post(
        f"/messages/{uid}/resolve", {"outcome": "arrived", "attempt": "01a20dcc-f1e4-7c89-8302-92a40c75e18a"}
    )
    assert (stale.status_code, stale.json()["code"], fields_of(stale)) == (409, "stale_attempt", ["attempt"])
    assert (
        api.post(f"/messages/{uid}/resolve", {"outcome": "arrived", "attempt": attempt}).json()["state"]
        == "accepted"
    )
    second = api.post(f"/messages/{uid}/resolve", {"outcome": "send_again", "attempt": attempt})
    assert (second.status_code, second.json()["code"]) == (409, "not_in_doubt")


def test_a_doubt_is_sent_again(api, office):
    uid, _ = in_doubt(api)
    assert api.post(f"/messages/{uid}/resolve", {"outcome": "send_again"}).json()["state"] == "queued"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "outcome"),
        ({"outcome": "x"}, "outcome"),
        ({"outcome": []}, "outcome"),
        ({"outcome": "arrived", "recipients": "a"}, "recipients"),
        ({"outcome": "arrived", "attempt": 5}, "attempt"),
        ({"outcome": "arrived", "x": 1}, "x"),
    ],
)
def test_a_resolution_with_a_fault_is_refused(api, office, body, field):
    uid, _ = in_doubt(api)
    response = api.post(f"/messages/{uid}/resolve", body)
    assert (response.status_code, fields_of(response)) == (422, [field])
