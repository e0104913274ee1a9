"""Setting up OAuth 2.0: the guides, the consent and its way back, the check of each step."""

from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from console.kit import connect, text, typed
from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.sink import SinkServer
from vaguemestre.console.oauth2.ways import WAYS
from vaguemestre.ledger import consents, oauth2
from vaguemestre.ledger.models import Authorization, Connection
from vaguemestre.mail.secret import Secret

pytestmark = pytest.mark.django_db
MAILBOX = "bureau@exemple.fr"
PERSON = {"login": MAILBOX, "tenant": "exemple.fr", "client_id": CLIENT, "client_secret": CLIENT_SECRET}


def at(connection, path=""):
    return f"/connections/{connection.uid}/oauth2/{path}"


def fresh(connection):
    return Connection.objects.get(pk=connection.pk)


def asks(page, connection):
    """Press the button; the provider's address that the page goes on to."""
    response = page.post(at(connection, "connect/"), follow=True)
    address = response["Refresh"].removeprefix("0; url=")
    assert unescape(response.content.decode()).count(address) == 1  # and a link, for who is not sent on
    return address


def person(page, server, **values):
    """A connection whose account a person has to agree to."""
    bureau = connect()
    posted = PERSON | {
        "token_endpoint": server.token_endpoint,
        "authorization_endpoint": server.authorization_endpoint,
    }
    response = page.post(at(bureau, "microsoft-person/"), posted | values)
    assert response.status_code == 302, text(response)
    return fresh(bureau)


def test_choosing_oauth2_on_the_form_saves_and_leads_to_the_guides(page):
    response = page.post("/connections/new/", typed(auth="oauth2", login=MAILBOX), follow=True)
    made = Connection.objects.get()
    assert (made.auth, response.redirect_chain) == ("oauth2", [(at(made), 302)])
    assert all(str(way.title) in text(response) for way in WAYS)
    form = page.get(f"/connections/{made.uid}/")
    assert at(made) in form.content.decode()
    page.post(f"/connections/{made.uid}/", typed(auth="oauth2", login=MAILBOX, sender_name="Le bureau"))
    assert fresh(made).auth == "oauth2"
    page.post(f"/connections/{made.uid}/", typed(auth="password", login=MAILBOX, password="un-mot-de-passe"))
    assert fresh(made).auth == "password"


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.slug)
def test_every_guide_has_its_steps_and_the_values_that_were_typed(page, way):
    bureau = connect()
    shown = page.get(at(bureau, f"{way.slug}/"))
    assert shown.status_code == 200
    assert text(shown).count("Chez le fournisseur") == 1
    if way.who:
        assert "http://127.0.0.1:8587/oauth2/callback/" in shown.content.decode()
    assert ("VAGUEMESTRE_BASE_URL" in text(shown)) is bool(way.who)
    assert page.get(at(bureau, "nobody/")).status_code == 404


def test_the_commands_for_exchange_hold_what_was_typed_and_nothing_that_a_shell_would_run(page):
    bureau = connect()
    values = PERSON | {"object_id": "6d0aff9c-0000-4a1b-8f6e-1d2c3b4a5f60", "client_id": "10e1-ab"}
    saved = page.post(at(bureau, "microsoft-app/"), values, follow=True)
    assert CLIENT_SECRET not in saved.content.decode()
    commands = unescape(saved.content.decode())
    assert f"New-ServicePrincipal -AppId '10e1-ab' -ObjectId '{values['object_id']}'" in commands
    assert f"Set-CASMailbox -Identity '{MAILBOX}' -SmtpClientAuthenticationDisabled $false" in commands
    assert "Connect-ExchangeOnline -Organization 'exemple.fr'" in commands
    evil = page.post(
        at(bureau, "microsoft-app/"), values | {"login": "x'; Remove-Item *", "client_id": "a b"}
    )
    assert evil.status_code == 422
    assert "-Identity 'MAILBOX'" in unescape(evil.content.decode())


@pytest.mark.parametrize("written", ["a\r\nX-Evil: 1", "a&all=1", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_an_object_id_that_is_none_is_not_carried_on(page, written):
    bureau = connect()
    saved = page.post(at(bureau, "microsoft-app/"), PERSON | {"object_id": written})
    assert (saved.status_code, saved["Location"]) == (302, at(bureau, "microsoft-app/"))


def test_the_key_of_a_service_account_names_what_the_domain_delegates_to(page):
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = {
        "client_email": "relais@p.iam.gserviceaccount.com",
        "client_id": "10987654321",
        "private_key": key.decode(),
    }
    bureau = connect()
    wrong = page.post(at(bureau, "google-service-account/"), {"login": MAILBOX, "service_account_key": "{}"})
    assert "Donnez le fichier JSON entier de la clé" in text(wrong)
    import json

    posted = {"login": MAILBOX, "service_account_key": json.dumps(file)}
    saved = page.post(at(bureau, "google-service-account/"), posted, follow=True)
    assert "10987654321" in saved.content.decode()
    assert "PRIVATE KEY" not in saved.content.decode()
    assert oauth2.is_connected(fresh(bureau))


def test_faults_stand_at_their_fields_and_nothing_is_saved(page):
    bureau = connect()
    refused = page.post(at(bureau, "microsoft-app/"), {"login": MAILBOX, "tenant": "common", "client_id": ""})
    assert refused.status_code == 422
    told = text(refused)
    assert "Indiquez l’ID de l’annuaire (locataire)" in told
    assert "Recopiez-le depuis la page de l’application" in told
    assert "Sans lui, aucun jeton n’est remis." not in told  # one thing after the other
    assert (Authorization.objects.count(), fresh(bureau).auth) == (0, "none")


def test_a_person_agrees_and_the_connection_is_connected(page):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        assert not oauth2.is_connected(bureau)
        Connection.objects.update(health="locked", health_why="consent_withdrawn")
        assert "Le consentement pour ce compte" in text(page.get(at(bureau, "microsoft-person/")))
        assert "Relier de nouveau" in text(page.get(f"/connections/{bureau.uid}/"))
        address = asks(page, bureau)
        assert address.startswith(f"{server.authorization_endpoint}?response_type=code&client_id={CLIENT}&")
        for part in ("code_challenge_method=S256", "offline_access", "login_hint=bureau%40exemple.fr"):
            assert part in address
        back = server.agree(address)
        response = page.get(back.removeprefix("http://127.0.0.1:8587"), follow=True)
        assert "« Bureau » est reliée. Vérifiez maintenant chaque étape." in text(response)
        assert oauth2.is_connected(fresh(bureau))
        assert fresh(bureau).health == "ready"
        kept = oauth2.kept_of(fresh(bureau)).credentials
        assert [kept.refresh_token.reveal()] == server.refresh_tokens
        assert kept.secret.reveal() == CLIENT_SECRET  # the application's own stays
        again = page.get(back.removeprefix("http://127.0.0.1:8587"), follow=True)
        assert "Ce consentement n’a pas été demandé ici, ou arrive trop tard." in text(again)
        assert len(server.asked) == 1


def test_a_way_back_that_is_not_this_sessions_or_comes_late_is_taken_by_nobody(page, claire):
    from django.test import Client

    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        back = server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        thief = Client()
        thief.force_login(claire)
        for where in (
            back.replace("state=", "state=x"),
            "/oauth2/callback/?code=a&state=",
            "/oauth2/callback/",
        ):
            assert "Ce consentement n’a pas été demandé ici" in text(page.get(where, follow=True))
        thief.get(back, follow=True)
        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            page.get(back, follow=True)
        assert server.asked == []
        assert not oauth2.is_connected(fresh(bureau))


@pytest.mark.parametrize(
    ("model", "change"),
    [(Authorization, {"client_id": "another"}), (Connection, {"host": "elsewhere.example"})],
    ids=["account", "mail server"],
)
def test_what_was_changed_meanwhile_gets_no_code(page, model, change):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        back = server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        model.objects.update(**change)
        assert "Le compte a été modifié entre-temps" in text(page.get(back, follow=True))
        assert server.asked == []


def test_a_change_while_the_code_is_exchanged_leaves_no_consent_for_what_it_was_changed_to(page):
    with AuthorizationServer().serving() as server:
        asked = person(page, server)
        assert oauth2.account_of(asked).token_endpoint == server.token_endpoint
        Authorization.objects.update(token_endpoint="https://elsewhere.example/token")
        assert not consents.keep(asked, Secret("of-the-person"), "user:claire", timezone.now())
        assert not oauth2.is_connected(fresh(asked))
        Authorization.objects.update(token_endpoint=server.token_endpoint)
        assert consents.keep(asked, Secret("of-the-person"), "user:claire", timezone.now())
        assert oauth2.is_connected(fresh(asked))


def test_somebody_who_does_not_agree_is_told_what_the_provider_said(page):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        back = server.refuse(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        assert "n’a pas transmis de consentement : she said no" in text(page.get(back, follow=True))
        server.withdrawn = True
        back = server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        assert "n’a pas accepté le consentement : The grant was revoked." in text(page.get(back, follow=True))
        server.away = True
        back = server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        assert "n’a pas pu être interrogé. Il a répondu par une erreur (HTTP)" in text(
            page.get(back, follow=True)
        )
    assert not oauth2.is_connected(fresh(bureau))


def test_another_application_forgets_the_consent_only_when_told_to(page):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        page.get(server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587"))
        posted = PERSON | {
            "token_endpoint": server.token_endpoint, "authorization_endpoint": server.authorization_endpoint,
            "client_id": "another", "client_secret": "",
        }  # fmt: skip
        refused = page.post(at(bureau, "microsoft-person/"), posted)
        assert (refused.status_code, oauth2.is_connected(fresh(bureau))) == (422, True)
        assert "oubliez le consentement actuel, et reliez de nouveau" in text(refused)
        saved = page.post(at(bureau, "microsoft-person/"), posted | {"clear_password": "on"}, follow=True)
        assert "Personne n’a encore consenti" in text(saved)
        assert not oauth2.is_connected(fresh(bureau))


@contextmanager
def world(page, **server):
    """A connection of an application, at servers that speak its language."""
    with AuthorizationServer(**server).serving() as tokens:
        sink = SinkServer(login=MAILBOX, mechanisms="LOGIN XOAUTH2", tokens=tokens.tokens, require_auth=True)
        with sink.in_thread():
            bureau = connect(host="127.0.0.1", port=sink.port, encryption="none")
            page.post(at(bureau, "microsoft-app/"), PERSON | {"token_endpoint": tokens.token_endpoint})
            yield bureau, tokens, sink


@pytest.mark.django_db(transaction=True)
def test_each_step_is_checked_and_told(page):
    with world(page, as_jwt={"roles": ["SMTP.SendAsApp"]}) as (bureau, tokens, sink):
        told = page.post(at(bureau, "check/"))
        words = text(told)
        for line in (
            "Le fournisseur remet un jeton SMTP.SendAsApp", "Le jeton permet d’envoyer par SMTP SMTP.SendAsApp",
            "Le serveur de messagerie accepte le jeton", "Il accepte l’expéditeur", "La connexion fonctionne",
        ):  # fmt: skip
            assert line in words
        assert told.content.decode().count('<li class="good">') == 4
        assert tokens.tokens[0] not in told.content.decode()
        assert "Le jeton actuel vaut jusqu’au" in words
        sink.tokens = ()
        tokens.as_jwt = {"roles": ["Mail.Send"]}
        Authorization.objects.update(expires_at=timezone.now())
        told = page.post(at(bureau, "check/"))
        assert "Il manque : SMTP.SendAsApp" in text(told)
        assert "535 5.7.8 bad credentials — status 401, scope mail.send, schemes bearer" in text(told)
        assert "Le jeton ne permet pas d’envoyer" in text(told)
