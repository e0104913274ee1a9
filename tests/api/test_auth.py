"""Who may ask what: keys, scopes, networks."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from api.client import Api, fields_of, key_with
from vaguemestre.ledger import keys

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]

SCOPES_OF = [
    ("GET", "/connections", {"connections"}),
    ("POST", "/connections", {"connections"}),
    ("GET", "/connections/x", {"connections"}),
    ("PATCH", "/connections/x", {"connections"}),
    ("DELETE", "/connections/x", {"connections"}),
    ("POST", "/connections/x/pause", {"connections"}),
    ("POST", "/connections/x/resume", {"connections"}),
    ("POST", "/connections/x/verify", {"connections"}),
    ("POST", "/connections/verify", {"connections"}),
    ("GET", "/streams", {"connections"}),
    ("POST", "/streams", {"connections"}),
    ("GET", "/streams/x", {"connections"}),
    ("PATCH", "/streams/x", {"connections"}),
    ("DELETE", "/streams/x", {"connections"}),
    ("GET", "/source-addresses", {"connections"}),
    ("PUT", "/source-addresses", {"connections"}),
    ("POST", "/connections/import", {"connections"}),
    ("POST", "/connections/x/default-preview", {"connections"}),
    ("GET", "/connections/x/deliverability", {"connections"}),
    ("POST", "/connections/x/departure-preview", {"connections"}),
    ("POST", "/connections/x/test", {"connections"}),
    ("GET", "/default-change", {"connections"}),
    ("POST", "/default-change/undo", {"connections"}),
    ("GET", "/forms", {"connections"}),
    ("POST", "/forms", {"connections"}),
    ("GET", "/forms/x", {"connections"}),
    ("PATCH", "/forms/x", {"connections"}),
    ("DELETE", "/forms/x", {"connections"}),
    ("GET", "/forms/x/markup", {"connections"}),
    ("GET", "/forms/x/submissions", {"connections"}),
    ("DELETE", "/forms/x/submissions/x", {"connections"}),
    ("GET", "/providers", {"connections"}),
    ("POST", "/providers/recognise", {"connections"}),
    ("GET", "/source-addresses/export", {"connections"}),
    ("DELETE", "/source-addresses/sightings/1", {"connections"}),
    ("GET", "/streams/x/opt-outs", {"connections"}),
    ("POST", "/streams/x/opt-outs", {"connections"}),
    ("DELETE", "/streams/x/opt-outs/x", {"connections"}),
    ("GET", "/templates", {"send", "read", "admin"}),
    ("GET", "/templates/x/x", {"send", "read", "admin"}),
    ("PUT", "/templates/x/x", {"admin"}),
    ("DELETE", "/templates/x/x", {"admin"}),
    ("POST", "/templates/x/render", {"send", "read", "admin"}),
    ("GET", "/invoices", {"send", "read"}),
    ("POST", "/invoices", {"send"}),
    ("GET", "/invoices/x", {"send", "read"}),
    ("POST", "/notifications", {"send"}),
    ("POST", "/reports", {"send"}),
    ("GET", "/reports/schedule", {"admin"}),
    ("PATCH", "/reports/schedule", {"admin"}),
    ("GET", "/settings", {"admin"}),
    ("POST", "/settings/preview", {"admin"}),
    ("PATCH", "/settings", {"admin"}),
    ("GET", "/sending", {"read", "admin"}),
    ("POST", "/sending/pause", {"admin"}),
    ("POST", "/sending/resume", {"admin"}),
    ("GET", "/keys", {"admin"}),
    ("POST", "/keys", {"admin"}),
    ("DELETE", "/keys/x", {"admin"}),
    ("POST", "/routes/explain", {"send", "connections"}),
    ("POST", "/messages", {"send"}),
    ("POST", "/messages/batch", {"send"}),
    ("POST", "/messages/raw", {"send"}),
    ("GET", "/messages", {"send", "read"}),
    ("GET", "/messages/x", {"send", "read"}),
    ("POST", "/messages/x/release", {"send", "admin"}),
    ("POST", "/messages/x/cancel", {"send", "admin"}),
    ("POST", "/messages/x/resolve", {"send", "admin"}),
    ("POST", "/messages/x/resend", {"send", "admin"}),
]


@pytest.mark.parametrize(("method", "path", "scopes"), SCOPES_OF)
def test_every_operation_wants_its_scope(method, path, scopes):
    for scope in keys.SCOPES:
        status = key_with(scope).call(method, path).status_code
        assert (status == 403) == (scope not in scopes), (scope, status)


@pytest.mark.parametrize(("method", "path", "scopes"), SCOPES_OF)
def test_no_operation_answers_without_a_key(method, path, scopes):
    response = Api().call(method, path)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def _filled(path):
    """The path with something in each of its places."""
    return re.sub(r"\{[^}]*\}", "x", path.replace("{sighting}", "1"))


def test_the_table_above_has_every_operation(api):
    document = api.get("/openapi.json").json()
    known = {
        (method.upper(), _filled(path.removeprefix("/api/v1")))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert known == {(method, path) for method, path, _ in SCOPES_OF}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer vgm_",
        "Bearer vgm_0123456789ab_",
        "Basic dTpw",
        "Bearer vgm_\u00e9",
        "Bearer " + "v" * 5000,
    ],
)
def test_what_is_no_key_is_401(header):
    assert Api().get("/connections", Authorization=header).status_code == 401


def test_a_wrong_secret_behind_a_right_prefix_is_401(api):
    assert Api(api.key[:-1] + ("A" if api.key[-1] != "A" else "B")).get("/connections").status_code == 401


def test_a_key_that_is_not_known_is_told_otherwise_than_none(api):
    needed = "An API key is needed: Authorization: Bearer vgm_…"
    for header in ("", "Bearer", "Bearer "):
        assert Api().get("/connections", Authorization=header).json()["detail"] == needed
    for header in ("Bearer x", f"Bearer {api.key[:-1]}", f"bearer {api.key}x"):
        answer = Api().get("/connections", Authorization=header)
        assert answer.json()["detail"].startswith(
            "This API key is not known or has been revoked: copy it again"
        )
        assert answer["WWW-Authenticate"] == 'Bearer realm="vaguemestre"'


def test_a_revoked_key_is_401(api):
    key, text = keys.create("gone", ["connections"], "cli:test", timezone.now())
    assert Api(text).get("/connections").status_code == 200
    assert api.delete(f"/keys/{key.uid}").json()["revoked_at"] is not None
    assert Api(text).get("/connections").status_code == 401


def test_a_key_works_from_its_networks_only():
    assert key_with("send", networks=["127.0.0.0/8"]).get("/messages").status_code == 200
    assert key_with("send", networks=["10.0.0.0/8", "2001:db8::/32"]).get("/messages").status_code == 403


@pytest.mark.parametrize("by", [{}, {"X-Forwarded-For": "::ffff:203.0.113.9"}])
def test_who_comes_by_ipv4_to_a_socket_of_ipv6_is_in_its_network(by):
    near = "::ffff:127.0.0.1" if by else "::ffff:203.0.113.9"
    limited = Api(key_with("send", networks=["203.0.113.0/24"]).key, Client(REMOTE_ADDR=near))
    assert limited.get("/messages", **by).status_code == 200


def test_i06_a_key_limited_to_senders_sends_as_no_other():
    limited = key_with("send", senders=["shop@example.org", "*@news.example.org"])
    for sender, status in [
        ("shop@example.org", 202),
        ("SHOP@example.org", 202),
        ("any@news.example.org", 202),
        ("ceo@example.org", 422),
        ("shop@example.org.evil.example", 422),
        ("any@sub.news.example.org", 422),
    ]:
        response = limited.post("/messages", {"to": "a@example.net", "from": sender, "text": "x"})
        assert response.status_code == status, sender
        if status == 422:
            assert fields_of(response) == ["from"]


def test_i06_the_reverse_path_of_a_raw_message_is_limited_too():
    limited = key_with("send", senders=["shop@example.org"])
    raw = b"From: shop@example.org\r\nTo: a@example.net\r\n\r\nx\r\n"
    for query, status in [
        ({}, 202),
        ({"from": "shop@example.org"}, 202),
        ({"from": "ceo@example.org"}, 422),
        ({"from": ""}, 202),
    ]:
        response = limited.post("/messages/raw", raw=raw, content_type="message/rfc822", query=query)
        assert response.status_code == status, query


def test_i06_a_key_limited_to_streams_uses_no_other():
    limited = key_with("send", streams=["invoices"])
    assert (
        limited.post("/messages", {"to": "a@example.net", "text": "x", "stream": "invoices"}).status_code
        == 202
    )
    for stream in ("marketing", None):
        response = limited.post("/messages", {"to": "a@example.net", "text": "x", "stream": stream})
        assert (response.status_code, fields_of(response)) == (422, ["stream"])


def test_a_send_key_sees_and_decides_about_its_own_messages_only():
    mine, other = key_with("send"), key_with("send")
    uid = other.post("/messages", {"to": "a@example.net", "text": "x"}).json()["id"]
    assert mine.get("/messages").json()["items"] == []
    assert mine.get(f"/messages/{uid}").status_code == 404
    for act in ("release", "cancel", "resend"):
        assert mine.post(f"/messages/{uid}/{act}").status_code == 404
    assert mine.post(f"/messages/{uid}/resolve", {"outcome": "arrived"}).status_code == 404
    assert other.get(f"/messages/{uid}").status_code == 200
    assert key_with("read").get(f"/messages/{uid}").status_code == 200
    assert key_with("admin").post(f"/messages/{uid}/cancel").status_code == 200


def test_a_key_is_shown_once(api):
    created = api.post("/keys", {"name": "shop", "scopes": ["send"], "networks": ["192.0.2.0/24"]})
    assert created.status_code == 201
    text = created.json()["key"]
    assert text.startswith("vgm_")
    listed = api.get("/keys").content.decode()
    assert created.json()["id"] in listed
    assert text not in listed


@pytest.mark.parametrize(("given", "kept"), [({}, True), ({"dsn": None}, True), ({"dsn": False}, False)])
def test_a_key_says_whether_failures_are_reported(api, given, kept):
    created = api.post("/keys", {"name": "shop", "scopes": ["send"]} | given).json()
    assert created["dsn"] is kept
    (listed,) = [key for key in api.get("/keys").json()["items"] if key["id"] == created["id"]]
    assert listed["dsn"] is kept


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "", "scopes": ["send"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["all"]}, "scopes"),
        ({"name": "x", "scopes": "send"}, "scopes"),
        ({"name": 5, "scopes": ["send"]}, "name"),
        ({"name": "x", "scopes": ["send"], "networks": ["nowhere"]}, "networks"),
        ({"name": "x", "scopes": ["send"], "streams": ["none-such"]}, "streams"),
        ({"name": "x", "scopes": ["send"], "senders": ["no address"]}, "senders"),
        ({"name": "x", "scopes": ["send"], "dsn": "no"}, "dsn"),
        ({"name": "x", "scopes": ["send"], "prefix": "vgm_x"}, "prefix"),
    ],
)
def test_a_key_with_a_fault_is_refused_at_its_field(api, values, field):
    response = api.post("/keys", values)
    assert (response.status_code, fields_of(response)) == (422, [field])


def test_an_unknown_key_to_revoke_is_404(api):
    assert api.delete("/keys/none").status_code == 404
    assert api.delete("/keys/01a20dcc-f1e4-7c89-8302-92a40c75e18a").status_code == 404
