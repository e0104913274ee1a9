"""Choosing a provider on the page of a connection, and having one proposed, with a script and without."""

import json
from dataclasses import replace

import pytest

from console.kit import CANARY, connect, tags, text, typed
from scripted.dns import DnsServer
from vaguemestre.ledger.models import Connection

HTMX = {"HX-Request": "true"}


@pytest.fixture
def dns(settings):
    records = {
        ("exemple.fr", "MX"): ["10 aspmx.l.google.com."],
        ("_submissions._tcp.exemple.org", "SRV"): ["0 1 465 smtp.exemple.org."],
    }
    with DnsServer(records) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        yield server


def values(answer):
    """What stands in the form."""
    found = {}
    for tag, attrs in tags(answer):
        if tag == "input" and attrs.get("type") == "radio" and "checked" not in attrs:
            continue
        if tag == "input" and attrs.get("name"):
            found[attrs["name"]] = attrs.get("value", "")
    return found


def test_choosing_a_provider_fills_the_form_without_a_script_and_keeps_what_was_typed(page):
    answer = page.post("/connections/provider/fill/", typed(
        provider="microsoft365", host="", name="Bureau", password=CANARY, sender_email="contact@exemple.fr",
    ))  # fmt: skip
    form = values(answer)
    assert (form["host"], form["port"], form["encryption"]) == ("smtp.office365.com", "587", "starttls")
    assert (form["max_sessions"], form["per_minute"], form["per_day"]) == ("3", "30", "10000")
    assert (form["name"], form["sender_email"]) == ("Bureau", "contact@exemple.fr")
    assert "préférez OAuth2" in text(answer)
    assert "vérifié le 24/11/2026" in text(answer)
    assert CANARY not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert Connection.objects.count() == 0


@pytest.mark.parametrize(
    ("provider", "chosen", "filled"),
    [
        ("microsoft365", "password", "oauth2"),
        ("outlook", "password", "oauth2"),
        ("gmail", "password", "password"),
        ("gmail", "oauth2", "password"),
        ("google-relay", "password", "password"),
        ("brevo", "oauth2", "password"),
    ],
)
def test_the_way_to_sign_in_is_the_one_that_the_provider_prefers(page, provider, chosen, filled):
    answer = page.post("/connections/provider/fill/", typed(provider=provider, auth=chosen))
    assert values(answer)["auth"] == filled


def test_the_login_that_is_the_address_is_filled_in_unless_one_was_typed(page):
    whole = page.post("/connections/provider/fill/", typed(provider="gandi", sender_email="lea@exemple.fr"))
    part = page.post("/connections/provider/fill/", typed(provider="free", sender_email="lea@free.fr"))
    own = page.post("/connections/provider/fill/", typed(provider="gandi", login="moi"))
    assert [values(answer)["login"] for answer in (whole, part, own)] == ["lea@exemple.fr", "lea", "moi"]


def test_with_a_script_a_piece_of_the_page_brings_the_values_and_the_hints(page):
    answer = page.get("/connections/provider/?provider=brevo", headers=HTMX)
    (filled,) = [json.loads(attrs["data-fill"]) for _, attrs in tags(answer) if "data-fill" in attrs]
    assert filled == {
        "host": "smtp-relay.brevo.com", "port": "587", "encryption": "starttls", "auth": "password", "login": "",
    }  # fmt: skip
    (hint,) = [attrs["data-password-hint"] for _, attrs in tags(answer) if "data-password-hint" in attrs]
    assert hint == "Une clé SMTP, pas une clé API."
    assert "<html" not in answer.content.decode()


@pytest.mark.parametrize(
    "choice", ["", "nobody", "ssl:x:y", "ssl:99999:a.example", "ssl:465:a b", "<script>:1:a"]
)
def test_a_choice_that_is_none_fills_nothing(page, choice):
    answer = page.get("/connections/provider/", {"use": choice}, headers=HTMX)
    assert answer.status_code == 200
    assert not [attrs for _, attrs in tags(answer) if "data-fill" in attrs]


def test_the_senders_domain_proposes_a_provider_and_says_why(page, dns):
    answer = page.post(
        "/connections/provider/propose/", typed(sender_email="a@exemple.fr", host=""), headers=HTMX
    )
    assert "Gmail, Google Workspace ?" in text(answer)
    assert "les messages pour ce domaine sont reçus par Gmail, Google Workspace (aspmx.l.google.com)" in text(
        answer
    )
    whole = page.post("/connections/provider/propose/", typed(sender_email="a@exemple.fr", host=""))
    assert "Gmail, Google Workspace ?" in text(whole)
    assert values(whole)["sender_email"] == "a@exemple.fr"


def test_a_published_server_that_is_no_known_providers_can_be_used_too(page, dns):
    answer = page.post("/connections/provider/propose/", typed(sender_email="a@exemple.org"), headers=HTMX)
    use = next(attrs["value"] for _, attrs in tags(answer) if attrs.get("name") == "use")
    assert use == "ssl:465:smtp.exemple.org"
    form = values(page.post("/connections/provider/fill/", typed(use=use, provider="gmail", host="")))
    assert (form["host"], form["port"], form["encryption"]) == ("smtp.exemple.org", "465", "ssl")


@pytest.mark.parametrize("sender", ["", "a@", "a@nothing.example"])
def test_an_address_that_says_nothing_is_passed_over_in_silence_unless_it_was_asked(page, dns, sender):
    address = "/connections/provider/propose/"
    assert text(page.post(address, {"sender_email": sender}, headers=HTMX)).strip() == ""
    asked = page.post(address, {"sender_email": sender, "button": "propose"}, headers=HTMX)
    assert "Rien de connu pour cette adresse" in text(asked)


def test_what_stands_in_the_form_already_is_not_proposed(page, dns):
    answer = page.post(
        "/connections/provider/propose/",
        typed(sender_email="a@exemple.fr", host="smtp.gmail.com"),
        headers=HTMX,
    )
    assert text(answer).strip() == ""


def test_a_saved_connection_of_a_known_provider_shows_its_hints(page):
    saved = connect("Bureau", host="smtp.gmail.com", encryption="ssl")
    answer = page.get(f"/connections/{saved.uid}/")
    assert "Un mot de passe d’application de 16 lettres" in text(answer)
    assert next(attrs for _, attrs in tags(answer) if attrs.get("value") == "gmail").keys() >= {"selected"}
