"""Source addresses, applications, settings; what every page has in common; and the pages of errors."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.test import Client
from django.urls import path
from django.utils import timezone

from console.kit import ACTOR, connect, errors, hand_over, tags, text
from vaguemestre.console.urls import urlpatterns as console_urls
from vaguemestre.environment import Bind
from vaguemestre.ledger import instance, keys, sightings, source_addresses
from vaguemestre.ledger.models import ApiKey

SEVEN = (
    "13.38.96.228", "13.39.17.106", "52.47.109.251", "15.236.148.180", "35.180.87.240", "13.38.244.164",
    "35.181.213.114",
)  # fmt: skip


def test_a_newcomer_never_sees_addresses_of_somebody_elses_servers(page):
    for address in ("/source-addresses/", "/source-addresses/edit/"):
        content = page.get(address).content.decode()
        assert not any(foreign in content for foreign in SEVEN)
    assert "Aucune adresse n’est indiquée" in text(page.get("/source-addresses/"))


def test_the_list_is_edited_and_can_be_copied(page):
    form = {"address": ["198.51.100.10", "", "2001:DB8::7"], "label": ["Paris", "", ""]}

    answer = page.post("/source-addresses/edit/", form, follow=True)

    assert "La liste est enregistrée." in text(answer)
    assert "2 adresses à autoriser" in text(answer)
    lines = [a for tag, a in tags(answer) if "data-line" in a]
    assert len(lines) == 2
    assert any(a.get("data-copy") == "addresses" for _tag, a in tags(answer))
    assert [(row.address, row.label) for row in source_addresses.listed()] == [
        ("198.51.100.10", "Paris"),
        ("2001:db8::7", ""),
    ]
    again = page.get("/source-addresses/edit/").content.decode()
    assert 'value="198.51.100.10"' in again
    assert 'value="Paris"' in again


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        (["198.51.100.10", "pas une adresse"], "Ce n’est pas une adresse IP."),
        (["198.51.100.10", "198.51.100.10"], "Cette adresse est deux fois dans la liste."),
    ],
)
def test_a_fault_stands_at_its_line(page, addresses, words):
    answer = page.post("/source-addresses/edit/", {"address": addresses, "label": ["", ""]})

    assert answer.status_code == 422
    marked = [a for tag, a in tags(answer) if tag == "input" and a.get("aria-invalid") == "true"]
    assert [a["value"] for a in marked] == [addresses[1]]
    assert words in text(answer)
    assert source_addresses.listed() == []


def test_an_address_that_a_server_saw_and_that_is_not_listed_is_told(page):
    office = connect("Bureau")
    sightings.note(office.pk, "203.0.113.7", timezone.now())
    source_addresses.replace([{"address": "198.51.100.10"}], ACTOR, timezone.now())

    assert "Un serveur nous voit arriver de 203.0.113.7" in text(page.get("/source-addresses/"))


def test_a_key_is_shown_once(page):
    answer = page.post("/keys/new/", {"name": "Boutique", "scopes": ["send"]})

    (shown,) = [word for word in text(answer).split() if word.startswith("vgm_") and len(word) > 40]
    assert keys.authenticate(shown, timezone.now()) == ApiKey.objects.get()
    assert "no-store" in answer.headers["Cache-Control"]
    assert shown not in page.get("/keys/").content.decode()
    assert "Boutique" in text(page.get("/keys/"))


@pytest.mark.parametrize(
    ("binds", "certificate", "told"),
    [
        (("0.0.0.0", None), None, "127.0.0.1:2525 depuis cette machine seulement n’importe"),
        (("0.0.0.0", "::"), "x.pem", "mail.example.org:2525 STARTTLS mail.example.org:2465 TLS n’importe"),
        (("127.0.0.1", None), "x.pem", "127.0.0.1:2525 depuis cette machine seulement n’importe"),
        (("192.0.2.5", None), "x.pem", "192.0.2.5:2525 STARTTLS n’importe"),
    ],
)
def test_a_new_key_says_where_it_is_taken_as_others_dial_it(page, settings, binds, certificate, told):
    plain, tls = binds
    settings.ENVIRONMENT = replace(
        settings.ENVIRONMENT,
        base_url="https://mail.example.org:8443",
        submission_bind=Bind(plain, 2525),
        submission_tls_bind=tls and Bind(tls, 2465),
        submission_certificate=certificate and Path(certificate),
    )
    answer = page.post("/keys/new/", {"name": "Boutique", "scopes": ["send"]})
    assert told in " ".join(text(answer).split())


def test_what_a_key_is_limited_to_is_in_the_list(page):
    keys.create("Libre", ["send"], ACTOR, timezone.now())
    assert "Seulement" not in text(page.get("/keys/"))
    limits = {"streams": ["invoices", "reports"], "senders": ["*@exemple.fr"], "networks": ["192.0.2.0/24"]}
    keys.create("Compta", ["send"], ACTOR, timezone.now(), **limits)
    words = text(page.get("/keys/"))
    assert "Seulement pour Factures, Rapports" in words
    assert "Seulement au nom de *@exemple.fr" in words
    assert "Seulement depuis 192.0.2.0/24" in words


@pytest.mark.parametrize("ticked", [True, False])
def test_a_key_reports_failures_where_that_is_ticked(page, ticked):
    boxes = [
        attributes for _tag, attributes in tags(page.get("/keys/new/")) if attributes.get("name") == "dsn"
    ]
    assert ["checked" in box for box in boxes] == [True]
    page.post("/keys/new/", {"name": "Boutique", "scopes": ["send"]} | ({"dsn": "on"} if ticked else {}))

    assert ApiKey.objects.get().dsn is ticked
    assert ("Les échecs ne sont pas signalés à l’expéditeur" in text(page.get("/keys/"))) is not ticked


def test_what_was_not_ticked_stays_so_beside_a_fault(page):
    answer = page.post("/keys/new/", {"name": "", "scopes": ["send"]})

    boxes = [attributes for _tag, attributes in tags(answer) if attributes.get("name") == "dsn"]
    assert ["checked" in box for box in boxes] == [False]


def test_a_key_needs_a_name_and_a_permission(page):
    answer = page.post("/keys/new/", {"name": "", "scopes": []})

    assert answer.status_code == 422
    assert "Donnez-lui un nom." in text(answer)
    assert "Choisissez au moins une autorisation." in text(answer)
    assert not ApiKey.objects.exists()


def test_a_key_is_limited_where_it_is_made(page):
    limits = {"streams": ["reports", "invoices"], "senders": "*@Exemple.fr\r\nlea@exemple.org",
              "networks": "192.0.2.7, 2001:db8::/32"}  # fmt: skip
    page.post("/keys/new/", {"name": "Compta", "scopes": ["send"]} | limits)

    made = ApiKey.objects.get()
    assert made.streams == ["reports", "invoices"]
    assert made.senders == ["*@exemple.fr", "lea@exemple.org"]
    assert made.networks == ["192.0.2.7/32", "2001:db8::/32"]


def test_each_fault_of_a_limit_names_what_it_is_about_and_everything_typed_stays(page):
    limits = {"streams": ["reports", "nulle-part"], "senders": "lea@exemple.org\npersonne",
              "networks": "192.0.2.1/24\n10.0.0.0/8\npartout"}  # fmt: skip
    answer = page.post("/keys/new/", {"name": "", "scopes": ["send"]} | limits)

    assert answer.status_code == 422
    assert errors(answer) == {
        "name": "Donnez-lui un nom.",
        "streams": "« nulle-part » : Cette communication n’existe pas.",
        "senders": "« personne » : Un expéditeur admis est une adresse comme nom@exemple.fr, ou *@exemple.fr pour "
        "tout un domaine.",
        "networks": "« 192.0.2.1/24 » : Ce n’est pas un réseau comme 192.0.2.0/24. "
        "« partout » : Ce n’est pas un réseau comme 192.0.2.0/24.",
    }
    found = tags(answer)
    assert ("details", {"class": "fold limits", "open": None}) in found
    ticked = [a["value"] for _tag, a in found if a.get("name") in {"streams", "scopes"} and "checked" in a]
    assert ticked == ["send", "reports"]
    assert "192.0.2.1/24\n10.0.0.0/8\npartout" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_revoking_is_confirmed_on_a_page_of_its_own(page):
    key, secret = keys.create("Boutique", ["send"], ACTOR, timezone.now())

    assert "Révoquer la clé de « Boutique » ?" in text(page.get(f"/keys/{key.uid}/revoke/"))
    assert keys.authenticate(secret, timezone.now()) is not None
    answer = page.post(f"/keys/{key.uid}/revoke/", follow=True)

    assert "La clé de « Boutique » est révoquée" in text(answer)
    assert keys.authenticate(secret, timezone.now()) is None
    assert "1 clé révoquée" in text(answer)


def test_the_meaning_of_the_default_is_chosen_and_explained(page):
    answer = page.get("/settings/")
    assert "Il passe avant tout" in text(answer)
    assert [a["value"] for _tag, a in tags(answer) if "checked" in a] == ["override", "on"]

    page.post("/settings/", {"default_mode": "fallback"})

    assert instance.settings() == {"default_mode": "fallback", "renew_verifications": False}
    assert page.post("/settings/", {"default_mode": "nonsense"}).status_code == 422
    assert instance.settings()["default_mode"] == "fallback"


PAGES = (
    "/connections/", "/connections/new/", "/messages/", "/source-addresses/", "/source-addresses/edit/", "/keys/",
    "/keys/new/", "/settings/", "/settings/weekly-report/", "/findings/", "/findings/refused/", "/accounts/password/change/",
)  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_every_page_keeps_the_strict_policy_and_its_frame(page, address):
    connect("Bureau", is_default=True)
    hand_over()

    answer = page.get(address)

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    shown = tags(answer)
    for tag, attributes in shown:
        assert "style" not in attributes, (tag, attributes)
        assert tag != "style"
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert tag != "script" or attributes["src"].startswith("/static/")
        for name in ("src", "href", "action"):
            assert not attributes.get(name, "").startswith(("http", "//", "data:")), (tag, attributes)
    assert [a["lang"] for tag, a in shown if tag == "html"] == ["fr"]
    assert sum(tag == "h1" for tag, _a in shown) == 1
    assert sum(tag == "main" for tag, _a in shown) == 1
    ids = [a["id"] for _tag, a in shown if "id" in a]
    assert len(ids) == len(set(ids))
    if not address.startswith("/accounts"):
        assert sum(a.get("aria-current") == "page" and tag == "a" for tag, a in shown) >= 1


@pytest.mark.parametrize("address", PAGES)
def test_every_input_has_a_label(page, address):
    connect("Bureau")
    shown = tags(page.get(address))

    named = {a["for"] for tag, a in shown if tag == "label" and "for" in a}
    for tag, attributes in shown:
        if tag not in {"input", "select", "textarea"} or attributes.get("type") in {
            "hidden",
            "radio",
            "checkbox",
        }:
            continue
        assert attributes["id"] in named, attributes


def test_an_unknown_address_is_told_in_the_house_style(page):
    answer = page.get("/nothing/here/")

    assert answer.status_code == 404
    assert "Il n’y a rien à cette adresse" in text(answer)


def test_a_post_without_its_token_changes_nothing_and_says_so(claire):
    browser = Client(enforce_csrf_checks=True, headers={"accept-language": "fr"})
    browser.force_login(claire)

    answer = browser.post("/settings/", {"default_mode": "fallback"})

    assert answer.status_code == 403
    assert "Rien n’a été modifié : veuillez réessayer" in text(answer)
    assert instance.settings()["default_mode"] == "override"


def _broken(_request):
    raise RuntimeError("a secret detail")


urlpatterns = [path("broken/", _broken), *console_urls]


@pytest.mark.urls("console.test_other_pages")
def test_a_fault_of_ours_shows_no_traceback(claire):
    browser = Client(raise_request_exception=False, headers={"accept-language": "fr"})
    browser.force_login(claire)

    answer = browser.get("/broken/")

    assert answer.status_code == 500
    assert "Une panne de notre côté" in text(answer)
    assert "a secret detail" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
