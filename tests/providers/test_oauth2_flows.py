"""The flows of OAuth 2.0 against a real server on loopback, and what its refusals mean."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.client import LOOPBACK
from vaguemestre.http_transport import Answer, HttpTransport
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import USUAL, Account, Grant, Provider
from vaguemestre.providers.oauth2.assertion import BadKey, key_of
from vaguemestre.providers.oauth2.consent import challenge_of, consent_url, new_verifier
from vaguemestre.providers.oauth2.exchange import obtain, redeem
from vaguemestre.providers.oauth2.grants import (
    Agreed,
    Credentials,
    Refusal,
    TokenAway,
    TokenRefused,
    lacks,
    read,
    token_request,
)

HTTP = HttpTransport(LOOPBACK)
BACK = "https://mail.example.org/oauth2/callback/"
GOOGLE = "https://mail.google.com/"
SERVICE = "relay@a-project.iam.example.com"


@pytest.fixture
def server():
    with AuthorizationServer().serving() as server:
        yield server


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


def now():
    return datetime.now(UTC)


def pem(key):
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(key.private_bytes(*shape).decode())


def account(server, grant=Grant.CLIENT_CREDENTIALS, provider=Provider.GENERIC, **values):
    found = Account(
        provider, grant, CLIENT, server.token_endpoint, server.authorization_endpoint, scope="mail.send"
    )
    return replace(found, **values)


def secret(text=CLIENT_SECRET):
    return Credentials(Secret(text))


async def test_client_credentials_give_a_token_for_as_long_as_the_server_says(server):
    server.life = 1234
    asked_at = now()
    token = await obtain(HTTP, account(server), secret(), asked_at)
    assert token.access.reveal() in server.tokens
    assert (token.expires_at, token.scope) == (asked_at + timedelta(seconds=1234), "mail.send")
    assert token.refresh_token is None
    assert server.asked == [
        {
            "grant_type": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
            "scope": "mail.send",
        }
    ]  # fmt: skip


async def test_a_code_is_exchanged_with_its_verifier_then_refreshed_and_the_rotated_token_is_given_back(
    server,
):
    person = account(server, Grant.AUTHORIZATION_CODE, subject="office@example.org")
    verifier = new_verifier()
    url = consent_url(person, BACK, "a-state", verifier)
    assert verifier.reveal() not in url
    back = parse_qs(urlsplit(server.agree(url)).query)
    first = await redeem(HTTP, person, secret(), Agreed(Secret(back["code"][0]), verifier, BACK), now())
    second = await obtain(HTTP, person, replace(secret(), refresh_token=first.refresh_token), now())
    assert server.tokens == [first.access.reveal(), second.access.reveal()]
    assert server.refresh_tokens == [second.refresh_token.reveal()]
    assert first.refresh_token.reveal() != second.refresh_token.reveal()


async def test_a_code_that_was_caught_is_worth_nothing_without_the_verifier(server):
    person = account(server, Grant.AUTHORIZATION_CODE)
    back = parse_qs(urlsplit(server.agree(consent_url(person, BACK, "a-state", new_verifier()))).query)
    with pytest.raises(TokenRefused) as refused:
        await redeem(HTTP, person, secret(), Agreed(Secret(back["code"][0]), new_verifier(), BACK), now())
    assert refused.value.why is Refusal.CONSENT_WITHDRAWN


def test_the_challenge_is_the_one_of_rfc_7636_appendix_b():
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_a_service_account_signs_for_a_person_of_its_domain(server, key):
    server.delegated[SERVICE] = key.public_key()
    robot = account(
        server, Grant.JWT_BEARER, Provider.GOOGLE, issuer=SERVICE, subject="office@example.org", scope=GOOGLE
    )
    token = await obtain(HTTP, robot, Credentials(pem(key), "key-1"), now())
    assert token.access.reveal() in server.tokens
    assert server.asked[0].keys() == {"grant_type", "assertion"}
    assert pem(key).reveal()[40:80] not in str(server.asked)
    other = Credentials(pem(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(TokenRefused) as refused:
        await obtain(HTTP, robot, other, now())
    assert (refused.value.why, refused.value.said) == (Refusal.APPLICATION_REFUSED, "Invalid JWT Signature.")
    with pytest.raises(TokenRefused) as refused:  # a domain that did not delegate it
        await obtain(
            HTTP, replace(robot, scope="https://www.example.com/calendar"), Credentials(pem(key)), now()
        )
    assert refused.value.why is Refusal.SCOPE_MISSING


@pytest.mark.parametrize("before", ["", "x" * 290])
@pytest.mark.parametrize("form", [str, quote_plus])
def test_no_secret_is_in_what_a_provider_says_even_where_that_is_cut_short(before, form):
    word, echoed = "open/secret+9Z", form("open/secret+9Z")
    told = {"error": "invalid_client", "error_description": f"{before} {echoed} is wrong"}
    answer = Answer(400, {}, json.dumps(told).encode())
    entra = Account(Provider.GENERIC, Grant.CLIENT_CREDENTIALS, "id", "https://login.example.org/token")
    with pytest.raises(TokenRefused) as refused:
        read(answer, entra, secret(word), now())
    assert echoed[:4] not in refused.value.said
    token = {"access_token": "abcdef", "token_type": "bearer", "scope": f"mail {echoed}"}
    found = read(Answer(200, {}, json.dumps(token).encode()), entra, secret(word), now())
    assert found.scope == "mail ***"


def test_only_an_rsa_key_of_2048_bits_can_sign():
    for wrong in (Secret(""), Secret("a key"), pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(BadKey):
            key_of(wrong)


async def test_a_wrong_client_secret_is_a_refusal_in_which_no_secret_is_repeated(server):
    with pytest.raises(TokenRefused) as refused:
        await obtain(HTTP, account(server), secret("wrong-secret-9Z"), now())
    assert (refused.value.why, refused.value.said) == (
        Refusal.APPLICATION_REFUSED,
        "The secret *** is not right.",
    )
    assert "wrong-secret-9Z" not in repr(
        (token_request(account(server), secret("wrong-secret-9Z"), now()), secret())
    )


async def test_a_withdrawn_consent_is_told_from_an_endpoint_that_is_away(server):
    person = account(server, Grant.AUTHORIZATION_CODE)
    with pytest.raises(TokenRefused) as refused:
        await obtain(HTTP, person, replace(secret(), refresh_token=Secret("an-old-one")), now())
    assert (refused.value.why, refused.value.said) == (
        Refusal.CONSENT_WITHDRAWN, "This refresh token is not known.",
    )  # fmt: skip
    with pytest.raises(TokenRefused):
        await obtain(HTTP, person, secret(), now())
    server.away = True
    with pytest.raises(TokenAway, match="503"):
        await obtain(HTTP, person, replace(secret(), refresh_token=Secret("an-old-one")), now())


async def test_an_endpoint_that_nobody_may_or_can_dial_is_away():
    for endpoint, why in (
        ("http://10.0.0.1/token", "not_permitted"),
        ("http://127.0.0.1:1/token", "unreachable"),
    ):
        nowhere = Account(Provider.GENERIC, Grant.CLIENT_CREDENTIALS, CLIENT, endpoint)
        with pytest.raises(TokenAway, match=why):
            await obtain(HTTP, nowhere, secret(), now())


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, {"error": "invalid_scope"}, Refusal.SCOPE_MISSING),
        (400, {"error": "unauthorized_client"}, Refusal.APPLICATION_REFUSED),
        (
            400,
            {"error": "interaction_required", "error_description": "AADSTS50076"},
            Refusal.CONSENT_WITHDRAWN,
        ),
        (429, {"error": "invalid_request"}, None),
        (500, {"error": "invalid_grant"}, None),
        (400, "<html>", None),
        (302, "", None),
        (200, "not JSON", None),
        (200, [], None),
        (200, {"access_token": "a b", "token_type": "Bearer"}, None),
        (200, {"access_token": "x", "token_type": "mac"}, None),
        (200, {"access_token": "x" * 20_000, "token_type": "bearer"}, None),
    ],
)
def test_only_an_error_that_says_so_is_a_refusal(status, body, meaning):
    answer = Answer(status, {}, (body if isinstance(body, str) else json.dumps(body)).encode())
    person = Account(Provider.MICROSOFT, Grant.AUTHORIZATION_CODE, CLIENT, "https://login.example.org/token")
    with pytest.raises((TokenRefused, TokenAway)) as failed:
        read(answer, person, Credentials(), now())
    refused = failed.value.why if isinstance(failed.value, TokenRefused) else None
    assert refused is meaning


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("3599", 3599), (None, 3600), ("soon", 3600), (-5, 0), (1e99, 604_800), (10**400, 3600)],
)
def test_the_life_of_a_token_is_what_the_answer_says_within_reason(told, seconds):
    body = json.dumps({"access_token": "x", "token_type": "bearer", "expires_in": told}).encode()
    at = now()
    found = read(
        Answer(200, {}, body),
        Account(Provider.GENERIC, Grant.CLIENT_CREDENTIALS, "a", "https://a"),
        Credentials(),
        at,
    )
    assert found.expires_at == at + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("provider", "grant", "scope", "missing"),
    [
        (Provider.MICROSOFT, Grant.CLIENT_CREDENTIALS, "SMTP.SendAsApp", ""),
        (Provider.MICROSOFT, Grant.CLIENT_CREDENTIALS, "Mail.Send", "SMTP.SendAsApp"),
        (
            Provider.MICROSOFT,
            Grant.AUTHORIZATION_CODE,
            "https://outlook.office.com/SMTP.Send offline_access",
            "",
        ),
        (Provider.MICROSOFT, Grant.AUTHORIZATION_CODE, "User.Read", "SMTP.Send"),
        (Provider.GOOGLE, Grant.JWT_BEARER, "https://mail.google.com/", ""),
        (Provider.GOOGLE, Grant.AUTHORIZATION_CODE, "https://www.googleapis.com/auth/gmail.send", GOOGLE),
        (Provider.GOOGLE, Grant.AUTHORIZATION_CODE, "", ""),
    ],
)
def test_a_scope_that_is_not_in_a_token_is_named(provider, grant, scope, missing):
    assert (
        lacks(Account(provider, grant, "a", "https://a", scope=USUAL[provider, grant].scope), scope)
        == missing
    )


async def test_the_permissions_of_an_application_are_read_from_the_token_itself(server):
    server.as_jwt = {"roles": ["Mail.Send"], "aud": "https://outlook.office365.com"}
    microsoft = account(server, provider=Provider.MICROSOFT, scope="https://outlook.office365.com/.default")
    token = await obtain(HTTP, microsoft, secret(), now())
    assert (token.scope, lacks(microsoft, token.scope)) == ("Mail.Send", "SMTP.SendAsApp")


async def test_a_scope_of_whatever_was_granted_tells_of_no_permission_that_is_missing(server):
    microsoft = account(server, provider=Provider.MICROSOFT, scope="https://outlook.office365.com/.default")
    token = await obtain(HTTP, microsoft, secret(), now())  # opaque, and its scope as it was asked for
    assert (token.scope, lacks(microsoft, token.scope)) == ("", "")
    assert account(server, scope="https://mail.example/.default offline_access").needed == ()
