"""What is no request of ours is answered 4xx with a problem, never 5xx, never HTML (I09)."""

import gzip
import json
import time

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.client import Api, fields_of
from vaguemestre.doors.api.problems import answer_problem, problem_of
from vaguemestre.ledger.models import Message

pytestmark = pytest.mark.django_db

POSTS = [
    "/messages",
    "/messages/batch",
    "/connections",
    "/connections/verify",
    "/streams",
    "/keys",
    "/routes/explain",
]


@pytest.mark.any_database
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"{", b"nonsense", b"[]", b"5", b'"text"', b"null", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"to": "a@b.c",}',
        b"{'to': 'x'}", b'{"to": NaN}', b'{"to": Infinity}', b'{"to": -Infinity}', b'{"to": 1e999}',
        b'{"to": "a", "to": "b"}', b'{"a": {"b": 1, "b": 2}}', b"[" * 100_000, b'{"a":' * 100_000,
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", b'{"a": ' + b"9" * 5000 + b"}", b"{}{}", b"\0", b'{"a": "\x01"}',
        '{"a": "é"}'.encode("latin-1"), '{"a": "é"}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_i09_what_is_no_json_object_is_400(api, path, body):
    assert api.post(path, raw=body).status_code == 400


@pytest.mark.any_database
@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "",
        "x",
        "application/json\x00",
    ],
)
def test_i09_another_content_type_is_415(api, path, kind):
    assert api.post(path, raw=b"{}", content_type=kind).status_code == 415


@pytest.mark.any_database
@pytest.mark.parametrize("unit", [";", "; (", "; a*0*=", ';x="\\'])
def test_a_content_type_keeps_nobody_waiting(api, unit):
    started = time.process_time()
    answer = api.post(
        "/routes/explain", raw=b"{}", content_type="application/json" + unit * (9_900 // len(unit))
    )
    assert answer.status_code == 200
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
    ],
)
def test_json_in_utf8_is_taken(api, kind):
    assert api.post("/routes/explain", raw=b"{}", content_type=kind).status_code == 200


@pytest.mark.any_database
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_i09_a_compressed_body_is_415_and_not_unpacked(api, encoding):
    bomb = gzip.compress(b"0" * 10_000_000)
    for path in POSTS:
        assert api.post(path, raw=bomb, Content_Encoding=encoding).status_code == 415


def test_a_body_without_its_length_is_411(api):
    assert (
        api.post(
            "/messages", raw=b"", Content_Type="application/json", Transfer_Encoding="chunked"
        ).status_code
        == 411
    )


@pytest.mark.any_database
def test_i09_a_body_that_is_too_large_is_413(api):
    large = b'{"name": "' + b"x" * 1_100_000 + b'"}'
    assert api.post("/connections", raw=large).status_code == 413
    answer = api.post("/messages", raw=b'{"text": "' + b"x" * 53_000_000 + b'"}')
    told = "The request is larger than the 52428800 bytes that this server takes."
    assert (answer.status_code, answer.json()["detail"]) == (413, told)


def test_what_is_no_object_in_a_list_of_them_is_named_by_its_place(api):
    answer = api.post("/messages/batch", {"messages": [{"text": "x"}, 7, None]})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["messages[1]", "messages[2]"]
    answer = api.post("/messages/batch", {"messages": {}})
    assert [fault["field"] for fault in answer.json()["errors"]] == ["messages"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"to": "a@b.c", "text": "x", "subject": "a\\u0000b"}', "subject"),
        ('{"to": "a@b.c", "text": "x\\ud800"}', "text"),
        ('{"to": ["a@b.c", "\\udfffa@b.c"], "text": "x"}', "to[1]"),
        ('{"to": "a@b.c", "text": "x", "metadata": {"k": "\\u0000"}}', "metadata.k"),
        ('{"to": "a@b.c", "text": "x", "metadata": {"k\\u0000": "v"}}', "metadata"),
        ('{"to": "a@b.c", "text": "x", "stream": "\\u0000"}', "stream"),
        (
            '{"to": "a@b.c", "text": "x", "attachments": [{"filename": "a\\udc80", "content": ""}]}',
            "attachments[0].filename",
        ),
        ('{"\\u0000": 1}', "body"),
    ],
)
def test_i09_a_nul_or_half_a_character_is_refused_at_its_path(api, body, field):
    response = api.post("/messages", raw=body.encode())
    assert (response.status_code, fields_of(response)) == (422, [field])
    assert Message.objects.count() == 0


def test_a_pair_of_surrogates_is_one_character(api):
    response = api.post("/messages", raw=b'{"to": "a@b.c", "text": "x", "subject": "\\ud83c\\udf89"}')
    assert response.status_code == 202


@pytest.mark.parametrize(
    "path", ["/connections/%00", "/connections/a%0d%0ab", "/streams/%7f", "/messages/%00", "/keys/%00"]
)
def test_a_control_character_in_an_address_is_refused(api, path):
    method = "DELETE" if path.startswith("/keys") else "GET"
    assert api.call(method, path).status_code in {404, 422}


@pytest.mark.parametrize(
    "path",
    ["/", "", "/nothing", "/connections/", "/connections/x/y/z", "/webhooks", "/openapi.yaml", "/docs"],
)
def test_an_address_that_does_not_exist_is_a_404_problem(api, path):
    for method in ("GET", "POST", "DELETE"):
        assert api.call(method, path).status_code == 404


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2", "/api/v1", "/apis/../api/x"])
def test_nothing_below_api_is_html(db, path):
    response = Client().get(path)
    assert response.status_code == 404
    if path.startswith("/api/") or path == "/api":
        assert response["Content-Type"] == "application/problem+json"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/connections", {"GET", "POST"}),
        ("DELETE", "/settings", {"GET", "PATCH"}),
        ("GET", "/messages/raw/x/y", None),
        ("OPTIONS", "/messages", {"GET", "POST"}),
        ("TRACE", "/streams", {"GET", "POST"}),
    ],
)
def test_a_wrong_method_is_a_405_problem(api, method, path, allowed):
    response = api.call(method, path)
    if allowed is None:
        assert response.status_code == 404
    else:
        assert response.status_code == 405
        assert set(response["Allow"].split(", ")) == allowed


def test_a_database_that_does_not_answer_is_503_and_a_fault_of_ours_500_without_detail(capsys):
    request = RequestFactory().get("/api/v1/x")
    response = answer_problem(request, OperationalError("disk full at /var/lib"))
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert b"disk" not in response.content
    response = answer_problem(request, RuntimeError("secret detail"))
    assert response.status_code == 500
    assert b"secret" not in response.content
    assert json.loads(response.content)["errors"] == []
    capsys.readouterr()


def test_a_host_that_is_not_ours_is_a_400_problem_for_the_api_and_a_page_for_people(api):
    assert api.get("/connections", Host="evil.example").status_code == 400
    page = Client().get("/", headers={"Host": "evil.example"})
    assert page.status_code == 400
    assert page["Content-Type"].startswith("text/html")


def test_what_breaks_outside_a_view_is_a_500_problem_without_detail(api, monkeypatch):
    def broken(self):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("django.http.HttpRequest.get_host", broken)
    response = Api(api.key).get("/connections")
    assert response.status_code == 500
    assert b"secret" not in response.content


def test_every_problem_has_its_title():
    assert problem_of(OperationalError()).body()["title"] == "Service Unavailable"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = {
    "/messages": ["to", "cc", "from", "reply_to", "subject", "text", "html", "attachments", "headers", "stream", "connection", "send_at", "tags", "metadata", "on_doubt"],
    "/connections": ["name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "auth", "login", "password", "clear_password", "active", "is_default", "allowed_senders", "backup", "limits", "pinned_certificate", "source_address"],
    "/streams": ["key", "name", "connection", "reply_to", "on_doubt", "retention_days", "redact", "priority",
                 "auto_submitted", "unsubscribe", "retry_hours"],
    "/keys": ["name", "scopes", "streams", "senders", "networks"],
    "/routes/explain": ["stream", "from", "connection"],
}  # fmt: skip
SOUND = {
    "/messages": {"to": "a@b.c", "text": "x"},
    "/connections": {"name": "N", "sender_email": "a@b.c", "host": "smtp.example.org"},
    "/streams": {"key": "k", "name": "N"},
    "/keys": {"name": "N", "scopes": ["send"]},
    "/routes/explain": {},
}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_i09_any_json_in_any_field_is_answered_and_never_5xx(api, data):
    path = data.draw(st.sampled_from(sorted(FIELDS)))
    changes = data.draw(st.dictionaries(st.sampled_from(FIELDS[path]), JSON, max_size=3))
    response = api.post(path, SOUND[path] | changes)
    assert response.status_code < 500, (path, changes)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(POSTS), body=st.binary(min_size=1, max_size=80))
def test_i09_any_bytes_are_answered_and_never_5xx(api, path, body):
    assert api.post(path, raw=body).status_code in {400, 415, 422}


LINES = st.sampled_from(["From: ", "To: ", "Cc: ", "Subject: ", "Date: ", "Message-ID: ", "X: ", " "])
VALUES = st.text(st.sampled_from('<>()@:;,."\\ =?utf8qbé\u2028a\0\x01'), max_size=30)
HEADERS = st.lists(st.tuples(LINES, VALUES).map("".join), max_size=5).map("\r\n".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(min_size=1, max_size=60) | HEADERS.map(lambda header: f"{header}\r\n\r\nbody\r\n".encode()),
    query=st.fixed_dictionaries(
        {}, optional={"from": st.text(max_size=10), "to": st.just("a@b.c"), "stream": VALUES}
    ),
)
def test_i08_any_raw_message_is_stored_or_refused(api, raw, query):
    response = api.post("/messages/raw", raw=raw, content_type="message/rfc822", query=query)
    assert response.status_code in {202, 400, 422}
    if response.status_code == 202:
        assert api.get(f"/messages/{response.json()['id']}").status_code == 200
        assert api.get("/messages", query={"limit": 1}).status_code == 200


def test_an_answer_is_json_in_ascii(api):
    api.post("/streams", {"key": "ete", "name": "Été \u2028 </script>"})
    response = api.post("/streams", {"key": "ete", "name": "Été </script>"})
    assert response.content.isascii()


def test_a_key_in_the_address_is_no_key(api):
    assert Api().get("/connections", query={"key": api.key}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/messages?limit=1&states=held", "states"),
        ("GET", "/connections?active=true", "active"),
        ("GET", "/connections/x?connection=y", "connection"),
        ("POST", "/messages?stream=invoices", "stream"),
        ("POST", "/messages/raw?to=a@example.net&streem=invoices", "streem"),
        ("POST", "/connections/import?dryrun=true", "dryrun"),
    ],
)
def test_a_parameter_that_nothing_reads_is_refused_by_its_name(api, method, path, name):
    response = api.call(method, path, raw=b"", content_type="message/rfc822")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == name
    assert api.get("/source-addresses/export?format=plain").status_code == 200
