"""Modèles: the list, editing with errors at the line, the preview in its frame, a test to oneself."""

import re

import pytest

from console.kit import connect, tags, text
from vaguemestre.ledger import templates
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message, Template

pytestmark = pytest.mark.django_db
PAGE = "/templates/invoice/fr/"
FORM = {
    "subject": "Note {{ number }}",
    "html": "<p>Bonjour {{ name }}</p>",
    "text": "",
    "sample": '{"number": "7", "name": "<Léa>"}',
}


def post(page, act, address=PAGE, **values):
    return page.post(address, FORM | {"act": act} | values)


def frame(answer):
    return next((found["src"] for tag, found in tags(answer) if tag == "iframe"), None)


def test_the_list_shows_the_starters_in_three_languages_and_ones_own(page):
    templates.save("quarterly", "de", {"subject": "S", "text": "T"}, "user:x", "2026-11-27T00:00Z")
    words = text(page.get("/templates/"))
    assert "Mot de passe oublié" in words
    assert "quarterly" in words
    assert "français" in words
    assert "italien" in words
    assert "allemand" in words
    assert words.count("le vôtre") == 1


def test_a_template_is_shown_with_its_preview_in_a_frame_that_can_do_nothing(page):
    answer = page.get(PAGE)
    assert "Facture 2026-118" in text(answer)
    (sandbox,) = [found for tag, found in tags(answer) if tag == "iframe"]
    assert sandbox["sandbox"] in {None, ""}
    shown = page.get(sandbox["src"])
    assert "1\u202f234,50\xa0€" in shown.content.decode().replace("&nbsp;", "\xa0")
    policy = shown["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert shown["X-Frame-Options"] == "SAMEORIGIN"


def test_a_preview_is_of_what_is_typed_and_saves_nothing(page):
    answer = post(page, "preview")
    assert "Note 7" in text(answer)
    assert "Bonjour &lt;Léa&gt;" in page.get(frame(answer)).content.decode()
    assert Template.objects.count() == 0


def test_a_preview_is_shown_to_nobody_else(page, stranger):
    assert stranger.get(frame(page.get(PAGE))).status_code == 302
    assert page.get("/templates/shown/nosuch/").status_code == 404


@pytest.mark.parametrize("act", ["save", "preview", "test"])
def test_a_fault_stands_at_its_field_with_its_line_and_nothing_typed_is_lost(page, act):
    answer = post(page, act, html="<p>\n{{ a | nosuch }}\n</p>", subject="a {{")
    words = text(answer)
    assert answer.status_code == 422
    assert "La ligne 2 utilise le filtre nosuch, qui n’existe pas." in words
    assert words.count("{{ a | nosuch }}") == 2  # in the field, and beside the fault
    marked = {found["name"] for tag, found in tags(answer) if found.get("aria-invalid") == "true"}
    assert marked == {"subject", "html"}
    assert frame(answer) is None
    assert (Template.objects.count(), Message.objects.count()) == (0, 0)


def test_a_variable_that_the_sample_lacks_is_told_at_the_line_that_uses_it(page):
    answer = post(page, "preview", html="<p>\n\n{{ due }}</p>")
    assert "La ligne 3 utilise due, qui manque dans les données." in text(answer)
    assert "Ligne 2 : ce n’est pas du JSON." in text(post(page, "preview", sample="{\n]"))


def test_saving_takes_the_place_of_the_starter_and_deleting_brings_it_back(page):
    answer = page.post(PAGE, FORM | {"act": "save"}, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "français · le vôtre, version 1" in text(answer)
    asked = page.get(PAGE + "delete/")
    assert f'href="{PAGE}delete/"' in answer.content.decode()
    assert "Revenir au modèle fourni ? Ce que vous aviez écrit est supprimé définitivement" in text(asked)
    assert Template.objects.count() == 1
    back = page.post(PAGE + "delete/", follow=True)
    assert "Le modèle fourni avec le produit est de retour." in text(back)
    assert Template.objects.count() == 0
    assert page.get(PAGE + "delete/").url == PAGE, "a starter is not deleted"


def test_a_new_one_does_not_take_the_place_of_one_that_is_there(page):
    answer = post(page, "save", "/templates/new/", key="invoice", language="fr", stream="")
    assert answer.status_code == 422
    assert "Un modèle a déjà cette clé dans cette langue" in text(answer)
    assert Template.objects.count() == 0


def test_a_preview_says_what_is_missing_even_where_nothing_is_typed(page):
    answer = post(page, "preview", subject="", html="")
    assert answer.status_code == 422
    assert "L’objet est vide." in text(answer)


def test_a_new_one_is_made_for_one_communication(page):
    values = {"key": "rappel", "language": "it", "stream": "support", "text": "Ciao", "html": ""}
    answer = post(page, "save", "/templates/new/", **values)
    assert answer["Location"] == "/templates/rappel/it/?stream=support"
    assert "pour la communication support" in text(page.get(answer["Location"]))
    again = post(page, "save", "/templates/new/", key="Pas Bon", language="it", text="Ciao", html="")
    assert "La clé d’un modèle est faite de minuscules" in text(again)


def test_a_test_goes_to_the_reader_alone_through_the_four_rooms(page):
    connect("Bureau")
    answer = post(page, "test")
    (message,) = Message.objects.all()
    (delivery,) = message.delivery_set.all()
    assert (delivery.recipient, delivery.state) == ("claire@exemple.fr", "queued")
    assert message.subject == "Note 7"
    assert content_of(message).raw.count(b"Content-Type: text/html") == 1
    assert f"/messages/{message.uid}/" in answer.content.decode()
    assert re.search(r"<textarea[^>]*name=\"html\"[^>]*>\n&lt;p&gt;Bonjour", answer.content.decode())


def test_what_is_not_there_is_404(page):
    for address in (
        "/templates/nosuch/fr/",
        "/templates/invoice/de/",
        "/templates/invoice/fr/?stream=support",
    ):
        assert page.get(address).status_code == 404
