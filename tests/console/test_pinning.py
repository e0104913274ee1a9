"""A certificate that is not trusted is shown, and one click puts its pin into the form."""

import json

import pytest

from console.kit import connect, tags, text, typed
from scripted.certificates import Authority, Certificate, self_signed
from scripted.sink import SinkServer
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db


def serving(certificate):
    return SinkServer(encryption="starttls", certificate=certificate).in_thread()


def aimed(server, **values):
    return typed(host="localhost", port=str(server.port), **values)


def pins(answer):
    return [attrs for tag, attrs in tags(answer) if tag == "button" and attrs.get("name") == "pin"]


def test_a_certificate_is_shown_with_what_a_person_can_compare_and_can_be_trusted_by_a_button(page):
    certificate = self_signed("mail.interne.example")
    with serving(certificate) as sink:
        answer = page.post("/connections/verify/", aimed(sink))
        words = text(answer)
        assert "Le certificat que le serveur a présenté" in words
        assert "mail.interne.example" in words
        assert "CN=self-signed.example" in words
        fingerprint = certificate.fingerprint.upper()
        assert ":".join(fingerprint[at : at + 2] for at in range(0, 64, 2)) in words
        (button,) = pins(answer)
        assert (button["type"], button["form"]) == ("submit", "connection")
        assert button["value"] == certificate.fingerprint

        address = button["formaction"].partition("#")[0]
        filled = page.post(address, aimed(sink, pin=button["value"], name="Interne", password="secret"))
        assert certificate.fingerprint in filled.content.decode()
        assert "rien n’est encore enregistré" in text(filled)
        assert "secret" not in filled.content.decode()
        assert ("input", "Interne") in {(tag, attrs.get("value")) for tag, attrs in tags(filled)}
        assert not Connection.objects.exists()

        trusted = page.post("/connections/verify/", aimed(sink, pinned_certificate=button["value"]))
        assert "La connexion fonctionne" in text(trusted)
        assert pins(trusted) == []


def test_the_authority_that_the_server_sends_along_can_be_trusted_in_its_place(page):
    authority = Authority()
    leaf = authority.certificate("localhost")
    with serving(Certificate(leaf.pem + authority.pem, leaf.key)) as sink:
        answer = page.post("/connections/verify/", aimed(sink))
        leaf_button, authority_button = pins(answer)
        assert leaf_button["value"] == leaf.fingerprint
        pem = authority_button["value"].replace("\n", "\r\n")  # as a browser posts it
        filled = page.post("/connections/pin/", aimed(sink, pin=pem))
        assert "BEGIN CERTIFICATE" in filled.content.decode()
        trusted = page.post("/connections/verify/", aimed(sink, pinned_certificate=pem))
    assert "La connexion fonctionne" in text(trusted)


def test_the_panel_comes_with_the_last_line_of_a_stream(page):
    with serving(self_signed("localhost")) as sink:
        stream = page.post("/connections/verify/", aimed(sink), headers={"Accept": "application/x-ndjson"})
        last = [json.loads(line) for line in b"".join(stream.streaming_content).splitlines()][-1]
    assert 'name="pin"' in last["outcome"]


def test_a_stored_password_does_not_follow_to_another_certificate(page):
    certificate = self_signed("localhost")
    with serving(certificate) as sink:
        office = connect(
            host="localhost", port=sink.port, login="app", password="un-mot-de-passe", encryption="starttls"
        )
        values = aimed(sink, uid=str(office.uid), login="app", pinned_certificate=certificate.fingerprint)
        answer = page.post("/connections/verify/", values)
    assert answer.status_code == 422
    assert "mot de passe" in text(answer)
    assert b"AUTH" not in sink.heard


def test_nothing_is_offered_where_pinning_would_not_help(page):
    with SinkServer(encryption="starttls", hooks={"mail": lambda _: None}).in_thread() as sink:
        answer = page.post("/connections/verify/", aimed(sink, encryption="ssl"))
    assert pins(answer) == []
