"""Connections over HTTP: one validation, the default, its successor."""

import pytest
from django.utils import timezone

from api.client import connection, fields_of
from vaguemestre.ledger import sightings, verifications
from vaguemestre.ledger.models import Connection, Version

pytestmark = pytest.mark.django_db

OFFICE = {"name": "Office", "sender_email": "office@example.org", "host": "smtp.example.org"}
SIGNED_IN = OFFICE | {"login": "office", "password": "correct horse"}


def test_a_connection_is_created_read_and_listed(api):
    created = api.post("/connections", OFFICE)
    assert created.status_code == 201
    body = created.json()
    assert (body["port"], body["encryption"], body["auth"], body["active"], body["is_default"]) == (
        587, "starttls", "none", True, False,
    )  # fmt: skip
    assert (body["demoted"], body["unverified"]) == ([], True)
    assert body["verification"] == {
        "state": "never", "at": None, "findings": [], "mechanism": None, "certificate_ends_at": None,
    }  # fmt: skip
    read = api.get(f"/connections/{body['id']}").json()
    assert read.pop("lane")["due"] == 0
    assert read == {name: value for name, value in body.items() if name not in {"demoted", "unverified"}}
    assert api.get("/connections/OFFICE").json()["id"] == body["id"]
    assert api.get("/connections").json() == {"items": [read], "next": None}


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x\r\ny"}, "name"),
        ({"sender_email": "office"}, "sender_email"),
        ({"sender_email": "a@b.c\r\nRCPT TO:<x@y.z>"}, "sender_email"),
        ({"host": "smtp://smtp.example.org"}, "host"),
        ({"host": "smtp.example.org:587"}, "host"),
        ({"host": ["x"]}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "x"}, "port"),
        ({"port": 1.5}, "port"),
        ({"port": True}, "port"),
        ({"port": 10**30}, "port"),
        ({"encryption": "opportunistic"}, "encryption"),
        ({"encryption": []}, "encryption"),
        ({"encryption": "none", "login": "a", "password": "b"}, "encryption"),
        ({"auth": "kerberos"}, "auth"),
        ({"auth": {}}, "auth"),
        ({"login": "a"}, "password"),
        ({"password": "a"}, "login"),
        ({"active": "yes"}, "active"),
        ({"active": False, "is_default": True}, "is_default"),
        ({"allowed_senders": "a@b.c"}, "allowed_senders"),
        ({"allowed_senders": ["nobody"]}, "allowed_senders[0]"),
        ({"limits": 5}, "limits"),
        ({"limits": {"per_hour": 5}}, "limits.per_hour"),
        ({"limits": {"per_day": -1}}, "limits.per_day"),
        ({"limits": {"per_day": "0000000000001999999999"}}, "limits.per_day"),
        ({"backup": "nobody"}, "backup"),
        ({"backup": {}}, "backup"),
        ({"source_address": "here"}, "source_address"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"colour": "red"}, "colour"),
        ({"id": "x"}, "id"),
        ({"has_password": True}, "has_password"),
        ({"is_default": "true"}, "is_default"),
        ({"is_default": None}, "is_default"),
    ],
)
def test_a_fault_is_refused_at_its_field_and_nothing_is_kept(api, changes, field):
    response = api.post("/connections", OFFICE | changes)
    assert (response.status_code, fields_of(response)) == (422, [field])
    assert api.get("/connections").json()["items"] == []
    assert Version.objects.filter(kind="connection").count() == 0


def test_every_fault_is_named_at_once(api):
    response = api.post("/connections", {"name": "", "sender_email": "x", "host": "a b", "port": 0})
    assert sorted(fields_of(response)) == ["host", "name", "port", "sender_email"]


def test_a_name_is_unique_without_regard_to_case(api, office):
    assert fields_of(api.post("/connections", OFFICE | {"name": "oFFICE"})) == ["name"]


def test_a_second_default_demotes_the_first_and_says_so(api, office):
    first = api.patch(f"/connections/{office.uid}", {"is_default": True}).json()
    assert (first["is_default"], first["demoted"]) == (True, [])
    second = api.post("/connections", OFFICE | {"name": "Shop", "is_default": True}).json()
    assert second["demoted"] == [str(office.uid)]
    old = api.get(f"/connections/{office.uid}").json()
    assert (old["is_default"], old["active"]) == (False, True)


@pytest.fixture
def default(api):
    return connection("Default", is_default=True)


def test_the_default_does_not_go_without_a_successor(api, default):
    for response in (
        api.patch(f"/connections/{default.uid}", {"active": False}),
        api.delete(f"/connections/{default.uid}"),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "successor_needed")
        assert fields_of(response) == ["successor"]
    now = api.get(f"/connections/{default.uid}").json()
    assert (now["active"], now["is_default"]) == (True, True)


def test_deactivating_the_default_promotes_the_named_one(api, default, office):
    response = api.patch(f"/connections/{default.uid}", {"active": False, "successor": str(office.uid)})
    assert (response.status_code, response.json()["active"]) == (200, False)
    assert api.get(f"/connections/{office.uid}").json()["is_default"] is True


def test_deactivating_the_default_may_leave_none(api, default, office):
    assert api.patch(f"/connections/{default.uid}", {"active": False, "successor": None}).status_code == 200
    assert [item["is_default"] for item in api.get("/connections").json()["items"]] == [False, False]


def test_saying_not_the_default_is_the_choice_of_none(api, default):
    response = api.patch(f"/connections/{default.uid}", {"is_default": False})
    assert (response.status_code, response.json()["is_default"], response.json()["active"]) == (
        200,
        False,
        True,
    )


@pytest.mark.parametrize("successor", ["none", "name"])
def test_deleting_the_default_takes_the_successor_from_the_query(api, default, office, successor):
    chosen = "none" if successor == "none" else str(office.uid)
    response = api.delete(f"/connections/{default.uid}", query={"successor": chosen})
    assert (response.status_code, response.content) == (204, b"")
    assert api.get(f"/connections/{default.uid}").status_code == 404
    assert api.get(f"/connections/{office.uid}").json()["is_default"] is (successor != "none")


@pytest.mark.parametrize("successor", ["nobody", 5, [], {}, ""])
def test_an_unknown_successor_is_refused_and_nothing_changes(api, default, successor):
    response = api.patch(f"/connections/{default.uid}", {"active": False, "successor": successor})
    assert (response.status_code, fields_of(response)) == (422, ["successor"])
    assert api.get(f"/connections/{default.uid}").json()["is_default"] is True


def test_an_inactive_or_the_same_connection_cannot_follow(api, default):
    inactive = connection("Sleeping", active=False)
    for successor in (inactive, default):
        response = api.patch(
            f"/connections/{default.uid}", {"active": False, "successor": str(successor.uid)}
        )
        assert (response.status_code, fields_of(response)) == (422, ["successor"])


def test_l8_a_bound_field_changed_without_the_password_is_refused(api):
    uid = api.post("/connections", SIGNED_IN).json()["id"]
    for changes in (
        {"host": "evil.example"},
        {"port": 465},
        {"encryption": "ssl"},
        {"login": "root"},
        {"pinned_certificate": "00" * 32},
    ):
        response = api.patch(f"/connections/{uid}", changes)
        assert (response.status_code, fields_of(response)) == (422, ["password"]), changes
    assert api.patch(f"/connections/{uid}", {"host": "new.example", "password": "again"}).status_code == 200
    assert (
        api.patch(f"/connections/{uid}", {"name": "Renamed", "password": ""}).json()["has_password"] is True
    )


def test_the_password_is_in_no_answer(api):
    canary = "canary-7f3a-Zürich"
    created = api.post("/connections", SIGNED_IN | {"password": canary})
    uid = created.json()["id"]
    answers = [
        created,
        api.get("/connections"),
        api.get(f"/connections/{uid}"),
        api.patch(f"/connections/{uid}", {"password": canary, "name": "x" * 500}),
        api.patch(f"/connections/{uid}", {"password": canary, "host": "a b"}),
        api.patch(f"/connections/{uid}", {"password": canary + "\0"}),
        api.patch(f"/connections/{uid}", {"password": [canary]}),
        api.post("/connections", SIGNED_IN | {"password": canary}),
        api.post("/connections", raw=b'{"password": "' + canary.encode() + b'",}'),
        api.post("/connections", {canary: canary}, Idempotency_Key="1"),
    ]
    found = [
        answer.content
        for answer in answers[:-1]
        if canary.encode() in answer.content or b"canary" in answer.content
    ]
    assert found == []
    assert canary not in str(list(Version.objects.values_list("changes", flat=True)))


def test_a_connection_is_paused_and_resumed(api, office):
    paused = api.post(f"/connections/{office.uid}/pause").json()
    assert paused["health"]["state"] == "paused"
    assert api.post(f"/connections/{office.uid}/resume", {}).json()["health"]["state"] == "ready"


def test_what_is_unknown_is_404(api):
    for method, path in [
        ("GET", "/connections/none"), ("PATCH", "/connections/none"), ("DELETE", "/connections/none"),
        ("POST", "/connections/none/pause"), ("POST", "/connections/none/verify"), ("GET", "/streams/none"),
        ("GET", "/messages/none"), ("GET", "/messages/01a20dcc-f1e4-7c89-8302-92a40c75e18a"),
    ]:  # fmt: skip
        body = {} if method in {"PATCH", "POST"} else None
        assert api.call(method, path, body).status_code == 404, path


def test_a_list_is_paged(api):
    for number in range(5):
        connection(f"C{number}")
    names, cursor = [], ""
    while cursor is not None:
        page = api.get("/connections", query={"limit": 2, "cursor": cursor}).json()
        names.append([item["name"] for item in page["items"]])
        cursor = page["next"]
    assert names == [["C0", "C1"], ["C2", "C3"], ["C4"]]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "٣"}, {"cursor": "9" * 30}],
)
@pytest.mark.parametrize("path", ["/connections", "/streams", "/keys", "/messages"])
def test_a_bad_page_is_refused_by_name(api, query, path):
    response = api.get(path, query=query)
    assert (response.status_code, fields_of(response)) == (422, list(query))


def test_the_actor_of_a_change_is_the_key(api, office):
    api.patch(f"/connections/{office.uid}", {"name": "New"})
    assert Version.objects.filter(subject=str(office.uid)).order_by("-number").first().actor == "key:test"


def test_settings_are_read_and_changed(api):
    initial = {"default_mode": "override", "renew_verifications": True}
    assert api.get("/settings").json() == initial
    changed = {"default_mode": "fallback"}
    assert api.patch("/settings", changed).json() == initial | changed
    changed |= {"renew_verifications": False}
    assert api.patch("/settings", {"renew_verifications": False}).json() == initial | changed
    for values in (
        {"default_mode": "x"},
        {"default_mode": []},
        {"default_mode": None},
        {"default_mode": {}},
        {"renew_verifications": "off"},
        {"renew_verifications": None},
        {"x": 1},
    ):
        response = api.patch("/settings", values)
        assert (response.status_code, fields_of(response)) == (422, list(values))


def test_source_addresses_are_replaced_as_a_list(api):
    assert api.get("/source-addresses").json() == {"items": [], "observed": [], "sightings": []}
    items = [{"address": "192.0.2.1", "label": "Office"}, {"address": "2001:db8::1"}]
    put = api.put("/source-addresses", {"items": items}).json()
    assert [(item["address"], item["label"]) for item in put["items"]] == [
        ("192.0.2.1", "Office"),
        ("2001:db8::1", ""),
    ]
    assert api.put("/source-addresses", put | {"observed": None}).status_code == 422
    assert api.put("/source-addresses", {"items": put["items"]}).json() == put
    assert api.put("/source-addresses", {"items": []}).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": "192.0.2.1"}, "items"),
        ({"items": ["192.0.2.1"]}, "items[0]"),
        ({"items": [{"address": "here"}]}, "items[0].address"),
        ({"items": [{"address": "192.0.2.1"}, {"address": "192.0.2.1"}]}, "items[1].address"),
        ({"items": [{"address": 5}]}, "items[0].address"),
        ({"items": [{"address": "192.0.2.1", "label": "a\nb"}]}, "items[0].label"),
        ({"items": [{"address": "192.0.2.1", "label": []}]}, "items[0].label"),
        ({"items": [{"address": "192.0.2.1", "x": 1}]}, "items[0].x"),
        ({"items": [{"address": f"192.0.2.{n % 256}"} for n in range(101)]}, "items"),
    ],
)
def test_a_bad_source_address_is_refused_at_its_place(api, body, field):
    response = api.put("/source-addresses", body)
    assert (response.status_code, fields_of(response)) == (422, [field])


def test_observed_addresses_are_what_servers_saw(api, office):
    verifications.keep("f", None, verifications.Record(ok=True, seen_address="192.0.2.9"), timezone.now())
    assert api.get("/source-addresses").json()["observed"] == ["192.0.2.9"]


def test_streams_are_created_changed_and_deleted(api, office):
    assert len(api.get("/streams").json()["items"]) == 6
    created = api.post(
        "/streams", {"key": "shop-orders", "name": "Orders", "connection": "Office", "on_doubt": "hold"}
    )
    assert created.status_code == 201
    assert created.json() == {
        "key": "shop-orders", "name": "Orders", "connection": str(office.uid), "reply_to": "", "on_doubt": "hold",
        "retry_hours": 120, "priority": "normal", "auto_submitted": "no", "unsubscribe": False,
        "retention_days": 30, "redact": False, "built_in": False,
    }  # fmt: skip
    changed = api.patch("/streams/shop-orders", {"connection": None, "retention_days": 7}).json()
    assert (changed["connection"], changed["retention_days"]) == (None, 7)
    assert api.get("/streams/shop-orders").json() == changed
    assert api.delete("/streams/shop-orders").status_code == 204
    assert api.get("/streams/shop-orders").status_code == 404
    assert api.delete("/streams/invoices").status_code == 409


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "A b"}, "key"),
        ({"key": 5}, "key"),
        ({"key": "invoices"}, "key"),
        ({"name": []}, "name"),
        ({"connection": "nobody"}, "connection"),
        ({"connection": {}}, "connection"),
        ({"reply_to": 5}, "reply_to"),
        ({"on_doubt": "maybe"}, "on_doubt"),
        ({"on_doubt": []}, "on_doubt"),
        ({"on_doubt": None}, "on_doubt"),
        ({"retention_days": 0}, "retention_days"),
        ({"retention_days": "7"}, "retention_days"),
        ({"redact": "no"}, "redact"),
        ({"built_in": True}, "built_in"),
    ],
)
def test_a_stream_with_a_fault_is_refused_at_its_field(api, changes, field):
    response = api.post("/streams", {"key": "mine", "name": "Mine"} | changes)
    assert (response.status_code, fields_of(response)) == (422, [field])


def test_a_connection_that_streams_use_is_not_deleted(api, office):
    api.patch("/streams/invoices", {"connection": str(office.uid)})
    assert api.delete(f"/connections/{office.uid}").json()["code"] == "connection_in_use"


def test_explain_names_the_route_and_every_rule(api, office):
    other = connection("Shop", sender_email="shop@example.org")
    answer = api.post("/routes/explain", {"from": "shop@example.org"}).json()
    assert (answer["decision"], answer["connection"], answer["reason"]["code"]) == (
        "route",
        str(other.uid),
        "sender",
    )
    assert len(answer["rules"]) >= 8
    assert "communication" not in str(answer), "the API says stream"
    held = api.post("/routes/explain", {"from": "x@example.net"}).json()
    assert (held["decision"], held["connection"], held["reason"]["code"]) == ("hold", None, "ambiguous")
    assert "communication" not in str(api.post("/routes/explain", {"stream": "invoices"}).json())
    posted = api.post("/messages", {"to": ["a@example.net"], "text": "x", "stream": "invoices"}).json()
    assert "communication" not in str(api.get(f"/messages/{posted['id']}").json())
    for body, field in [
        ({"stream": "none"}, "stream"),
        ({"connection": "none"}, "connection"),
        ({"from": "x"}, "from"),
        ({"from": 5}, "from"),
        ({"x": 1}, "x"),
    ]:
        response = api.post("/routes/explain", body)
        assert (response.status_code, fields_of(response)) == (422, [field])


def test_a_failed_verification_is_told_in_words_with_the_connection(api):
    office = Connection.objects.get(uid=api.post("/connections", OFFICE).json()["id"])
    finding = {"code": "auth_refused", "severity": "error", "phase": "auth", "who": "you", "facts": {}}
    verifications.keep(
        office.fingerprint, office, verifications.Record(ok=False, findings=[finding]), timezone.now()
    )
    (told,) = api.get(f"/connections/{office.uid}").json()["verification"]["findings"]
    assert told["code"] == "auth_refused"
    assert all(told[name] for name in ("what", "why", "remedy"))


def test_what_a_connections_server_saw_is_listed_with_its_standing(api, office):
    api.put("/source-addresses", {"items": [{"address": "203.0.113.1", "valid_until": "2999-12-31"}]})
    sightings.note(office.pk, "203.0.113.9", timezone.now())
    shown = api.get("/source-addresses").json()
    assert shown["items"][0]["valid_until"] == "2999-12-31"
    (seen,) = shown["sightings"]
    assert (seen["connection"], seen["address"], seen["standing"]) == (
        str(office.uid),
        "203.0.113.9",
        "unlisted",
    )


def test_source_addresses_are_exported_in_the_form_that_is_asked_for(api):
    api.put("/source-addresses", {"items": [{"address": "203.0.113.1"}]})
    assert api.get("/source-addresses/export").json() == {"format": "plain", "text": "203.0.113.1"}
    spf = api.get("/source-addresses/export", query={"format": "spf"}).json()
    assert spf == {"format": "spf", "text": "ip4:203.0.113.1"}
    wrong = api.get("/source-addresses/export", query={"format": "bind"})
    assert (wrong.status_code, fields_of(wrong)) == (422, ["format"])


def test_what_a_server_saw_is_forgotten(api, office):
    sightings.note(office.pk, "203.0.113.9", timezone.now())
    (seen,) = api.get("/source-addresses").json()["sightings"]
    path = f"/source-addresses/sightings/{seen['id']}"
    assert api.delete(path).status_code == 204
    assert api.get("/source-addresses").json()["sightings"] == []
    for gone in (path, f"/source-addresses/sightings/{10**30}", "/source-addresses/sightings/-1"):
        assert api.delete(gone).status_code == 404
