"""« Comment configurer »: every field of both sections, the button, the whitelist."""

import re

import pytest

from mission.conftest import LOGIN, PASSWORD, WHITELIST


def form(server, **values):
    """The form as a person fills it in."""
    typed = {
        "name": "Serveur Marketing",
        "sender_email": "marketing@example.org",
        "host": "localhost",
        "active": "on",
        "login": LOGIN,
        "password": PASSWORD,
        "encryption": "starttls",
        "port": str(server.port),
    } | values
    return {name: value for name, value in typed.items() if value is not None}


def test_the_form_has_two_sections_with_the_fields_of_each(product, read):
    words = read("/connections/new/")
    outgoing, access = words.index("Données de sortie (SMTP)"), words.index("Détails techniques d’accès")
    assert outgoing < access
    for label in (
        "Nom Connexion",
        "Email Expéditeur",
        "Serveur",
        "Actif",
        "Utiliser comme expéditeur par défaut",
    ):
        assert label in words[outgoing:access], label
    for label in ("SMTP Login", "SMTP Password", "Chiffrement", "SSL", "TLS", "Port"):
        assert label in words[access:], label
    assert "Vérifier la connexion" in words


def test_all_that_is_filled_in_is_kept_and_the_password_is_not_shown_again(product, person, server, read):
    person.submit("/connections/new/", form(server, is_default="on"))
    (saved,) = product.api.get("/connections")["items"]
    assert {name: saved[name] for name in ("name", "sender_email", "host", "active", "is_default")} == {
        "name": "Serveur Marketing", "sender_email": "marketing@example.org", "host": "localhost", "active": True,
        "is_default": True,
    }  # fmt: skip
    assert (saved["login"], saved["encryption"], saved["port"]) == (LOGIN, "starttls", server.port)
    assert saved["has_password"]
    assert PASSWORD not in person.read(f"/connections/{saved['id']}/")[2]


@pytest.mark.parametrize("wrong", [{"name": ""}, {"sender_email": "pas une adresse"}, {"host": ""}])
def test_name_and_server_are_required_and_the_sender_is_a_valid_address(product, person, server, wrong):
    status, _, page = person.read("/connections/new/", form(server, **wrong) | token(person))
    assert status == 422
    assert re.findall(r'<input[^>]*name="(\w+)"[^>]*aria-invalid="true"', page) == list(wrong)
    assert product.api.get("/connections")["items"] == []


def token(person):
    page = person.read("/connections/new/")[2]
    return {"csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]}


def test_the_name_is_internal_and_no_recipient_sees_it(product, person, server):
    person.submit("/connections/new/", form(server, name="SMTP Bureau interne"))
    product.until_state(product.api.send()["id"], "accepted")
    assert b"interne" not in server.accepted[0].content


def test_the_usual_ports_follow_the_encryption(product):
    for encryption, port in (("starttls", 587), ("ssl", 465)):
        made = product.api.post(
            "/connections",
            {
                "name": encryption,
                "sender_email": "a@example.org",
                "host": "smtp.example.org",
                "encryption": encryption,
            },
            status=201,
        )
        assert made["port"] == port


def test_the_button_verifies_what_was_typed_at_once(product, person, server, read):
    words = read("/connections/verify/", form(server) | token(person))
    assert "est connecté" in words or "fonctionne" in words or "prêt" in words
    assert product.api.get("/connections")["items"] == []


def test_the_addresses_to_put_on_the_whitelist_are_shown(product, read):
    assert [item["address"] for item in product.api.get("/source-addresses")["items"]] == list(WHITELIST)
    words = read("/source-addresses/")
    assert all(address in words for address in WHITELIST)
    assert "Adresses IP source (Whitelist)" in words
