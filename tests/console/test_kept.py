"""What was typed into a form after its session had ended is found again, and no password travels in a page."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from console.conftest import PASSWORD
from console.kit import CANARY, connect, filled, text, typed
from vaguemestre.console import kept
from vaguemestre.ledger import streams, templates
from vaguemestre.ledger.models import Connection, Stream

STILL_HERE = "Votre saisie est toujours là"


def sign_in(client, page, password=PASSWORD):
    return client.post(
        "/accounts/login/", filled(page) | {"login": "claire@exemple.fr", "password": password}
    )


def test_a_connection_typed_after_the_session_ended_is_saved_once_one_has_signed_in(claire, stranger):
    form = typed(
        login="contact@exemple.fr", password=CANARY, allowed_senders="lea@exemple.fr\r\n*@exemple.org"
    )
    asked = stranger.post("/connections/new/", form)
    assert (asked.status_code, Connection.objects.count()) == (403, 0)
    assert "Connectez-vous : votre saisie est conservée." in text(asked)
    wrong = sign_in(stranger, asked, "non non non non")

    told = sign_in(stranger, wrong)

    assert STILL_HERE in text(told)
    assert "Par sécurité, il n’a pas été conservé" in text(told)
    assert all(CANARY not in answer.content.decode() for answer in (asked, wrong, told))
    assert not Connection.objects.exists()
    again = filled(told)
    assert again.pop("password") == ""
    del again["csrfmiddlewaretoken"]
    assert again == {name: value for name, value in form.items() if name != "password"}
    assert stranger.post("/connections/new/", again | {"password": CANARY}).status_code == 302
    saved = Connection.objects.get()
    assert (saved.login, saved.allowed_senders) == ("contact@exemple.fr", ["lea@exemple.fr", "*@exemple.org"])


def test_a_password_that_was_not_typed_is_not_asked_for(claire, stranger):
    told = sign_in(stranger, stranger.post("/connections/new/", typed()))
    assert STILL_HERE in text(told)
    assert 'type="password"' not in told.content.decode()


def test_many_lines_come_through_as_they_were(claire, page):
    sources = {"subject": "Facture {{ number }}", "text": "\r\nBonjour,\r\n\r\n  <b>&amp;\r\n", "html": ""}
    form = filled(page.get("/templates/invoice/fr/")) | sources
    page.post("/accounts/logout/")

    told = sign_in(page, page.post("/templates/invoice/fr/", form))

    assert page.post("/templates/invoice/fr/", filled(told)).status_code == 302
    assert templates.find("invoice", "fr").sources.text == "\nBonjour,\n\n  <b>&amp;\n"


def test_what_somebody_else_saved_meanwhile_is_told_then_too(claire, page):
    streams.create({"key": "devis", "name": "Devis"}, "user:b@exemple.fr", timezone.now())
    form = filled(page.get("/communications/devis/")) | {"retention_days": "9"}
    page.post("/accounts/logout/")
    told = sign_in(page, page.post("/communications/devis/", form))
    streams.edit("devis", {"retention_days": 7}, "user:b@exemple.fr", timezone.now())

    assert page.post("/communications/devis/", filled(told)).status_code == 409
    assert Stream.objects.get(key="devis").retention_days == 7


def test_a_forged_or_old_bundle_is_dropped(claire, stranger, time_machine):
    asked = filled(stranger.post("/connections/new/", typed()))
    signing_in = {"login": "claire@exemple.fr", "password": PASSWORD}
    forged = Client().post("/accounts/login/", asked | signing_in | {"kept": asked["kept"][:-2] + "xx"})
    assert (forged.status_code, forged.url) == (302, asked["next"])
    time_machine.move_to(timezone.now() + timedelta(seconds=kept.AGE + 5))
    assert Client().post("/accounts/login/", asked | signing_in).status_code == 302


def test_what_nobody_types_is_not_carried(claire, stranger):
    answer = stranger.post("/templates/new/", {"text": "x" * kept.MOST})
    assert (answer.status_code, answer.url) == (302, "/accounts/login/")


@pytest.mark.parametrize(
    ("origin", "found"), [("http://testserver", True), ("https://ailleurs.example", False), (None, False)]
)
def test_a_form_older_than_the_last_signing_in_is_kept_if_it_is_ours(claire, origin, found):
    strict = Client(enforce_csrf_checks=True, headers={"accept-language": "fr"})
    strict.force_login(claire)
    old = filled(strict.get("/connections/new/"))
    elsewhere = Client(enforce_csrf_checks=True)
    strict.cookies["csrftoken"] = elsewhere.get("/accounts/login/").cookies["csrftoken"].value
    headers = {"origin": origin} if origin else {}

    answer = strict.post(
        "/connections/new/", old | typed(login="contact@exemple.fr", password=CANARY), headers=headers
    )

    assert (answer.status_code, STILL_HERE in text(answer)) == (403, found)
    assert CANARY not in answer.content.decode()
    if found:
        sent = strict.post("/connections/new/", filled(answer) | {"password": CANARY}, headers=headers)
        assert sent.status_code == 302
    assert Connection.objects.exists() == found


def test_views_with_secrets_name_them(claire):
    office = connect("Bureau")
    secrets = {
        "/connections/new/": {"password"},
        "/connections/verify/": {"password"},
        f"/connections/{office.uid}/": {"password"},
        "/templates/new/": set(),
    }
    for address, names in secrets.items():
        assert set(resolve(address).func.keeps) == names, address
    for address in ("/connections/import/", "/accounts/password/change/"):
        assert not hasattr(resolve(address).func, "keeps"), address
