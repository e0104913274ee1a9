"""What a default changes is told before it is made, and one click undoes it; likewise what a departure entails."""

from dataclasses import replace

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, hand_over, tags, text, typed
from scripted.dns import DnsServer
from vaguemestre.ledger import connections, instance, streams
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db

PREVIEW = "/connections/default/preview/"
HTMX = {"HX-Request": "true"}


def cells(answer):
    """The rows of the preview's table."""
    words = text(answer)
    return words[words.index("autre Reply-To") :]


def default():
    return Connection.objects.filter(is_default=True).first()


def marketing():
    """A connection of its own, whose stream has sent twice."""
    made = connect("Marketing")
    streams.edit("marketing", {"connection": str(made.uid)}, ACTOR, timezone.now())
    hand_over(stream="marketing"), hand_over(stream="marketing")
    return made


def test_the_button_leads_to_a_page_that_counts_before_it_is_done(page):
    marketing()
    office = connect("Bureau", sender_name="Le bureau")
    connect("Ancienne", is_default=True)
    answer = page.get(f"/connections/{office.uid}/default/")
    words = text(answer)
    assert "Messages des 30 derniers jours : 2. Avec un autre From ou Reply-To : 2." in words
    assert "Marketing 2 2 2" in words
    assert "Chaque message part alors de Le bureau <bureau@exemple.fr>" in words
    assert "« Ancienne » ne sera plus l’expéditeur par défaut ; la connexion restera active." in words
    assert "2 envois en attente changent de chemin." in words
    assert default().name == "Ancienne"
    page.post(f"/connections/{office.uid}/default/")
    assert default() == office


def test_the_ticked_box_is_told_with_the_sender_as_typed_even_of_a_new_connection(page):
    marketing()
    form = typed(is_default="on", sender_email="accueil@exemple.fr", reply_to="reponses@exemple.fr")
    answer = page.post(PREVIEW, form, headers=HTMX)
    assert (
        "Chaque message part alors de accueil@exemple.fr, et les réponses vont à reponses@exemple.fr."
        in text(answer)
    )
    assert "Marketing 2 2 2" in text(answer)
    assert page.post(PREVIEW, typed(), headers=HTMX).content == b""
    unready = page.post(PREVIEW, typed(is_default="on", sender_email="acc"), headers=HTMX)
    assert "Saisissez d’abord l’email expéditeur" in text(unready)


def test_without_a_script_the_same_button_answers_with_the_form_and_what_was_typed(page):
    marketing()
    office = connect("Bureau")
    answer = page.post(PREVIEW, typed(uid=str(office.uid), is_default="on", password="secret-canari"))
    assert "Marketing 2 2 2" in text(answer)
    assert "secret-canari" not in answer.content.decode()
    assert ("input", "contact@exemple.fr") in [(tag, given.get("value")) for tag, given in tags(answer)]
    assert default() is None


def test_another_meaning_of_the_default_is_told_before_it_is_saved(page):
    marketing()
    connect("Bureau", is_default=True)
    hand_over(stream="marketing")
    answer = page.post("/settings/preview/", {"default_mode": "fallback"}, headers=HTMX)
    words = text(answer)
    assert "Messages des 30 derniers jours : 3. Avec un autre From ou Reply-To : 1." in words
    assert "ce qui ne convient à aucune autre connexion part alors de bureau@exemple.fr" in words
    assert "DNS" not in words
    whole = page.post("/settings/preview/", {"default_mode": "fallback", "renew_verifications": "on"})
    assert "Avec un autre From ou Reply-To : 1." in text(whole)
    chosen = [seen["value"] for tag, seen in tags(whole) if tag == "input" and "checked" in seen]
    assert chosen == ["fallback", "on"]
    assert instance.settings()["default_mode"] == "override"
    same = page.post("/settings/preview/", {"default_mode": "override"}, headers=HTMX)
    assert text(same).strip() == ""
    assert page.post("/settings/preview/", {"default_mode": "never"}).status_code == 422


def test_whether_spf_and_dmarc_of_the_new_sender_agree_is_told(page, settings):
    with DnsServer({("exemple.fr", "MX"): ["10 mx.exemple.fr."]}) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        asked = {"sender_email": "contact@exemple.fr", "host": "smtp.exemple.fr"}
        words = text(page.post("/connections/default/vouching/", asked))
    assert "SPF et DMARC du domaine exemple.fr" in words
    assert "exemple.fr n’a pas d’enregistrement DMARC" in words
    assert "SPF" in words.partition("DMARC du domaine exemple.fr")[2]
    assert "n’a pas pu être interrogé" in text(
        page.post("/connections/default/vouching/", {"sender_email": "x"})
    )


def test_one_click_undoes_it(page):
    old, office = connect("Ancienne", is_default=True), connect("Bureau")
    page.post(f"/connections/{office.uid}/default/")
    words = text(page.get("/connections/"))
    assert "L’expéditeur par défaut est passé de « Ancienne » à « Bureau »." in words
    assert "claire@exemple.fr" in words
    answer = page.post("/connections/default/undo/", follow=True)
    assert "« Ancienne » est de nouveau l’expéditeur par défaut." in text(answer)
    assert default() == old
    assert "est passé de" not in text(page.get("/connections/"))


def test_why_it_cannot_be_undone_is_told_in_place_of_the_button(page):
    old, office = connect("Ancienne", is_default=True), connect("Bureau")
    page.post(f"/connections/{office.uid}/default/")
    connections.delete(str(old.uid), ACTOR, timezone.now())
    answer = page.get("/connections/")
    assert "« Ancienne » a été supprimée ; elle ne peut plus redevenir l’expéditeur par défaut." in text(
        answer
    )
    assert "/connections/default/undo/" not in answer.content.decode()
    assert "a été supprimée" in text(page.post("/connections/default/undo/", follow=True))
    assert default() == office


def test_deactivating_tells_what_waits_and_which_communications_are_concerned(page):
    made = marketing()
    connect("Bureau")
    words = text(page.get(f"/connections/{made.uid}/deactivate/"))
    assert "2 envois en attente sont retenus." in words
    assert "Communication Marketing est retenue." in words


def test_deactivating_the_default_tells_it_for_each_choice_of_who_follows(page):
    office = connect("Bureau", is_default=True)
    connect("Support")
    hand_over()
    words = text(page.get(f"/connections/{office.uid}/deactivate/"))
    assert "Avec « Support » par défaut 1 envoi en attente part par « Support »." in words
    assert "Sans expéditeur par défaut 1 envoi en attente part par « Support »." in words


def test_deleting_gives_the_communications_another_connection_in_the_same_act(page):
    made, office = marketing(), connect("Bureau")
    assert "Ce qui la nomme utilise ensuite" in text(page.get(f"/connections/{made.uid}/delete/"))
    refused = page.post(f"/connections/{made.uid}/delete/")
    assert refused.status_code == 409
    page.post(f"/connections/{made.uid}/delete/", {"reassign": str(office.uid)})
    assert streams.find("marketing").connection == office
    assert not Connection.objects.filter(pk=made.pk, deleted_at=None).exists()


def test_nothing_that_waits_is_said_to(page):
    office = connect("Bureau")
    assert "Rien n’attend de partir par elle." in text(page.get(f"/connections/{office.uid}/delete/"))
