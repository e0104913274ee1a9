"""A connection that signs in with tokens, over the API: its account, its faults, and secrets that go in only."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.client import fields_of
from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.sink import SinkServer
from vaguemestre.ledger.models import Authorization, Connection, Verification
from vaguemestre.ledger.models import Secret as Stored

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]
MAILBOX = "office@example.org"
PLAIN = {
    "name": "Office", "sender_email": MAILBOX, "host": "smtp.office365.com", "encryption": "starttls",
    "login": MAILBOX, "auth": "oauth2",
}  # fmt: skip
APPLICATION = {
    "provider": "microsoft", "grant": "client_credentials", "tenant": "example.org", "client_id": "an-id",
    "client_secret": CLIENT_SECRET,
}  # fmt: skip
PERSON = {
    "provider": "microsoft",
    "grant": "authorization_code",
    "tenant": "example.org",
    "client_id": "an-id",
}


def created(api, **values):
    response = api.post("/connections", PLAIN | values)
    assert response.status_code == 201, response.content
    return response.json()


def test_what_microsoft_has_published_is_filled_in_and_no_secret_comes_back(api):
    made = created(api, oauth2=APPLICATION)
    assert made["auth"] == "oauth2"
    assert made["has_password"] is False
    assert made["oauth2"] == {
        "provider": "microsoft", "grant": "client_credentials", "tenant": "example.org", "client_id": "an-id",
        "token_endpoint": "https://login.microsoftonline.com/example.org/oauth2/v2.0/token",
        "authorization_endpoint": "", "scope": "https://outlook.office365.com/.default", "issuer": "",
        "connected": True, "granted_scope": "", "expires_at": None,
    }  # fmt: skip
    for answer in (api.get("/connections"), api.get(f"/connections/{made['id']}")):
        assert CLIENT_SECRET not in answer.content.decode()


def test_a_person_has_to_agree_and_a_refresh_token_from_elsewhere_does_as_well(api):
    made = created(api, oauth2=PERSON)
    assert made["oauth2"]["connected"] is False
    assert made["oauth2"]["authorization_endpoint"].endswith("/example.org/oauth2/v2.0/authorize")
    changed = api.patch(f"/connections/{made['id']}", {"oauth2": {"refresh_token": "from-elsewhere"}}).json()
    assert changed["oauth2"]["connected"] is True
    changed = api.patch(f"/connections/{made['id']}", {"oauth2": {"client_secret": "a-new-one"}}).json()
    assert (
        changed["oauth2"]["connected"] is True
    )  # the consent stays where only the application's secret changed
    forgotten = api.patch(f"/connections/{made['id']}", {"clear_password": True}).json()
    assert forgotten["oauth2"]["connected"] is False
    assert Stored.objects.count() == 0


def test_the_key_file_of_google_names_its_service_account(api):
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = {
        "type": "service_account", "client_email": "relay@p.iam.gserviceaccount.com", "client_id": "1234567",
        "private_key": key.decode(), "private_key_id": "a1", "token_uri": "https://evil.example/token",
    }  # fmt: skip
    for given in (file, json.dumps(file)):
        made = created(
            api, name=f"Office {type(given).__name__}",
            oauth2={"provider": "google", "grant": "jwt_bearer", "service_account_key": given},
        )["oauth2"]  # fmt: skip
        assert (made["issuer"], made["client_id"]) == ("relay@p.iam.gserviceaccount.com", "1234567")
        assert made["token_endpoint"] == "https://oauth2.googleapis.com/token"  # never the file's
        assert made["connected"] is True


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"oauth2": []}, {"oauth2"}),
        ({"oauth2": {}}, {"oauth2.provider", "oauth2.grant"}),
        ({"oauth2": {"provider": "microsoft", "grant": "jwt_bearer"}}, {"oauth2.grant"}),
        ({"oauth2": APPLICATION | {"colour": "red"}}, {"oauth2.colour"}),
        ({"oauth2": APPLICATION | {"tenant": ""}}, {"oauth2.tenant"}),
        ({"oauth2": APPLICATION | {"tenant": "common"}}, {"oauth2.tenant"}),
        ({"oauth2": APPLICATION | {"tenant": "a/../b"}}, {"oauth2.tenant"}),
        ({"oauth2": APPLICATION | {"client_id": "a b", "scope": 'a"b'}}, {"oauth2.client_id", "oauth2.scope"}),
        ({"oauth2": APPLICATION | {"client_secret": ""}}, {"oauth2.client_secret"}),
        ({"oauth2": APPLICATION | {"client_secret": 7}}, {"oauth2.client_secret"}),
        ({"oauth2": APPLICATION | {"token_endpoint": "http://login.example.org/token"}}, {"oauth2.token_endpoint"}),
        ({"oauth2": APPLICATION | {"token_endpoint": "ftp://x"}}, {"oauth2.token_endpoint"}),
        ({"oauth2": {"provider": "generic", "grant": "authorization_code", "client_id": "x"}},
         {"oauth2.token_endpoint", "oauth2.authorization_endpoint"}),
        ({"oauth2": {"provider": "google", "grant": "jwt_bearer"}},
         {"oauth2.service_account_key"}),
        ({"oauth2": {"provider": "google", "grant": "jwt_bearer", "service_account_key": "{}"}},
         {"oauth2.service_account_key"}),
        ({"oauth2": APPLICATION, "password": "x"}, {"password"}),
        ({"oauth2": APPLICATION, "login": ""}, {"login"}),
        ({"oauth2": APPLICATION, "auth": "password"}, {"oauth2", "password"}),
        ({"oauth2": APPLICATION, "encryption": "none"}, {"encryption"}),
    ],
)  # fmt: skip
def test_a_fault_is_refused_at_its_field_and_nothing_is_kept(api, values, fields):
    response = api.post("/connections", PLAIN | values)
    assert response.status_code == 422
    assert set(fields_of(response)) == fields
    assert (Connection.objects.count(), Authorization.objects.count(), Stored.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "smtp.evil.example"}, {"port": 2587}, {"login": "else@example.org"},
        {"oauth2": {"token_endpoint": "https://login.evil.example/token"}},
        {"oauth2": {"tenant": "evil.example"}}, {"oauth2": {"client_id": "another"}},
    ],
)  # fmt: skip
def test_l8_what_a_secret_is_bound_to_changes_only_with_the_secret(api, change):
    made = created(api, oauth2=APPLICATION)
    refused = api.patch(f"/connections/{made['id']}", change)
    assert refused.status_code == 422
    assert fields_of(refused) == ["oauth2.client_secret"]
    tried = api.post("/connections/verify", {"id": made["id"], **change})
    assert fields_of(tried) == ["oauth2.client_secret"]
    assert api.get(f"/connections/{made['id']}").json()["oauth2"] == made["oauth2"]
    again = {"oauth2": {**change.get("oauth2", {}), "client_secret": CLIENT_SECRET}}
    assert api.patch(f"/connections/{made['id']}", change | again).status_code == 200


def test_an_application_without_its_secret_can_be_renamed_and_waits_to_be_set_up(api):
    made = created(api, oauth2=APPLICATION)
    assert (
        api.patch(f"/connections/{made['id']}", {"clear_password": True}).json()["oauth2"]["connected"]
        is False
    )
    assert api.patch(f"/connections/{made['id']}", {"name": "Bureau"}).status_code == 200
    moved = api.patch(f"/connections/{made['id']}", {"host": "smtp.example.org"})
    assert moved.status_code == 200  # nothing is stored that it could be sent to
    incomplete = api.patch(f"/connections/{made['id']}", {"oauth2": {"tenant": "example.com"}})
    assert fields_of(incomplete) == ["oauth2.client_secret"]


def test_a_secret_that_cannot_be_read_any_more_is_a_fault_and_not_a_crash(api):
    made = created(api, oauth2=APPLICATION)
    Authorization.objects.update(client_id="edited-by-hand")
    tried = api.post("/connections/verify", {"id": made["id"], "sender_name": "x"})
    assert (tried.status_code, fields_of(tried)) == (422, ["oauth2"])
    assert api.get(f"/connections/{made['id']}").json()["oauth2"]["connected"] is False


def test_another_kind_of_authentication_leaves_nothing_of_the_account(api):
    made = created(api, oauth2=APPLICATION)
    changed = api.patch(
        f"/connections/{made['id']}", {"auth": "password", "password": "hunter2-hunter2"}
    ).json()
    assert (changed["oauth2"], changed["has_password"]) == (None, True)
    assert Authorization.objects.count() == 0
    back = api.patch(f"/connections/{made['id']}", {"auth": "oauth2"}).json()
    assert (back["oauth2"], back["has_password"]) == (None, False)
    assert Stored.objects.count() == 0  # the password went with what it was for


@pytest.mark.django_db(transaction=True)
def test_a_verification_asks_for_a_token_and_tells_it_in_its_steps(api):
    with AuthorizationServer().serving() as tokens:
        sink = SinkServer(login=MAILBOX, mechanisms="XOAUTH2", tokens=tokens.tokens, require_auth=True)
        with sink.in_thread():
            account = {
                "provider": "generic", "grant": "client_credentials", "client_id": CLIENT,
                "client_secret": CLIENT_SECRET, "token_endpoint": tokens.token_endpoint,
            }  # fmt: skip
            server = {"host": "127.0.0.1", "port": sink.port, "encryption": "none", "oauth2": account}
            told = api.post("/connections/verify", PLAIN | server)
    assert told.json()["ok"] is True
    assert told.json()["steps"][0]["sent"] == "token from 127.0.0.1"
    kept = told.content.decode() + repr(list(Verification.objects.values()))
    assert not any(secret in kept for secret in (*tokens.tokens, CLIENT_SECRET))
