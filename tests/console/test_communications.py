"""Communications: each stream with its connection and the rule, edited with errors at the field; a route explained."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, hand_over, tags, text
from vaguemestre.ledger import instance, streams
from vaguemestre.ledger.messages import find
from vaguemestre.ledger.models import Attempt, Stream
from vaguemestre.ledger.resources import message_resource

pytestmark = pytest.mark.django_db

USUAL = {"name": "Factures", "connection": "", "reply_to": "", "priority": "normal", "on_doubt": "hold",
         "retry_hours": "120", "auto_submitted": "no", "retention_days": "30"}  # fmt: skip


def test_each_communication_shows_its_connection_and_the_rule_that_decides(page):
    office, support = connect("Bureau"), connect("Support")
    streams.edit(
        "support", {"connection": str(support.uid), "reply_to": "aide@exemple.fr"}, ACTOR, timezone.now()
    )
    words = text(page.get("/communications/"))
    for name in ("Notifications", "Réponses aux formulaires", "Factures", "Rapports", "Marketing"):
        assert name in words
    assert "Les réponses vont à aide@exemple.fr." in words
    assert "Selon le From de chaque message" in words
    office.is_default = True
    office.save()
    instance.bump()
    words = text(page.get("/communications/"))
    assert "« Bureau » est l’expéditeur par défaut" in words
    assert "Sa propre connexion, « Support », est supplantée." in words


def test_it_is_in_the_navigation(page):
    assert ("a", "/communications/") in [(tag, given.get("href")) for tag, given in tags(page.get("/keys/"))]


def test_all_fields_of_a_communication_are_edited(page):
    office = connect("Bureau")
    form = USUAL | {
        "connection": str(office.uid), "reply_to": "compta@exemple.fr", "priority": "urgent", "retry_hours": "2",
        "auto_submitted": "auto-generated", "retention_days": "7", "redact": "on", "unsubscribe": "on",
    }  # fmt: skip
    assert page.get("/communications/invoices/").status_code == 200
    assert page.post("/communications/invoices/", form).status_code == 302
    saved = streams.find("invoices")
    assert (saved.connection, saved.reply_to, saved.priority) == (office, "compta@exemple.fr", "urgent")
    assert (saved.on_doubt, saved.retry_age, saved.auto_submitted) == ("hold", 7200.0, "auto-generated")
    assert (saved.retention_days, saved.redact, saved.unsubscribe) == (7, True, True)
    # The built-in name was shown in French and left alone.
    assert saved.name == "Invoices"
    page.post("/communications/invoices/", form | {"name": "Factures et avoirs"})
    assert "Factures et avoirs" in text(page.get("/communications/"))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "Donnez-lui un nom"),
        ("name", "n" * 101, "C’est trop long."),
        ("reply_to", "personne", "adresse email"),
        ("connection", "0190a0a0-0000-7000-8000-000000000000", "Cette connexion n’existe plus"),
        ("priority", "haute", "Choisissez l’un des trois."),
        ("on_doubt", "peut-être", "Choisissez l’un des deux."),
        ("retry_hours", "demain", "un nombre d’heures de 1 à 720"),
        ("retention_days", "0", "un nombre de jours de 1 à 3650"),
        ("auto_submitted", "oui", "Choisissez l’un des trois."),
    ],
)
def test_an_error_stands_at_its_field_and_what_was_typed_stays(page, field, value, words):
    answer = page.post("/communications/invoices/", USUAL | {"reply_to": "compta@exemple.fr", field: value})
    assert answer.status_code == 422
    assert words in text(answer)
    marked = [given.get("name") for _, given in tags(answer) if given.get("aria-invalid") == "true"]
    assert marked == [field]
    assert streams.find("invoices").reply_to == ""
    if field != "reply_to":
        assert "compta@exemple.fr" in answer.content.decode()


def test_one_of_ones_own_is_made_and_deleted(page):
    assert page.get("/communications/new/").status_code == 200
    answer = page.post("/communications/new/", USUAL | {"key": "Astreinte", "name": "Astreinte"})
    assert (answer.status_code, "se compose de minuscules" in text(answer)) == (422, True)
    assert (
        page.post("/communications/new/", USUAL | {"key": "astreinte", "name": "Astreinte"}).status_code
        == 302
    )
    assert page.get("/communications/astreinte/delete/").status_code == 200
    assert page.post("/communications/astreinte/delete/").status_code == 302
    assert not Stream.objects.filter(key="astreinte").exists()
    assert page.get("/communications/astreinte/").status_code == 404


def test_one_that_messages_belong_to_stays_and_says_so(page):
    connect("Bureau")
    page.post("/communications/new/", USUAL | {"key": "astreinte", "name": "Astreinte"})
    hand_over(stream="astreinte")
    answer = page.post("/communications/astreinte/delete/")
    assert (answer.status_code, "elle reste avec eux" in text(answer)) == (409, True)
    assert page.post("/communications/reports/delete/").status_code == 409


def test_a_route_is_explained_with_every_rule(page):
    connect("Bureau", is_default=True), connect("Support")
    asked = {"stream": "support", "from": "support@exemple.fr"}
    answer = page.get("/communications/explain/", asked)
    words = text(answer)
    assert "Il part par « Bureau »" in words
    assert "L’expéditeur par défaut l’emporte sur tout. Cette règle décide. Choisie." in words
    assert "La connexion dont l’expéditeur est le From du message. Elle conviendrait" in words
    assert "La connexion de sa communication. La communication n’a pas de connexion en propre. Sans" in words
    assert words.count("Choisie.") == 1
    assert len([tag for tag, given in tags(answer) if tag == "li" and "class" in given]) >= 9


def test_a_question_that_makes_no_sense_is_told_at_its_field(page):
    answer = page.get("/communications/explain/", {"from": "personne"})
    assert answer.status_code == 422
    assert [given["name"] for _, given in tags(answer) if given.get("aria-invalid") == "true"] == ["from"]


def test_links_and_codes_of_a_communication_that_hides_them_are_read_nowhere(page):
    connect("Bureau")
    body = "Pour changer : https://exemple.fr/r/jeton-secret et le code 483920.\r\nA demain"
    message = hand_over(subject="Votre code 483920", body=body, stream="notifications")
    answer = page.get(f"/messages/{message.uid}/")
    words = text(answer)
    assert "A demain" in words
    assert "Les liens et les codes sont masqués ici" in words
    listed = page.get("/messages/")
    told = str(message_resource(find(str(message.uid)), timezone.now()))
    for shown in (answer.content.decode(), listed.content.decode(), told):
        assert "483920" not in shown
        assert "jeton-secret" not in shown
    plain = hand_over(subject="Votre code 483920", stream="support")
    assert "Votre code 483920" in text(page.get(f"/messages/{plain.uid}/"))


def test_every_message_keeps_its_explanation_and_the_version_of_what_sent_it(page):
    office = connect("Bureau", is_default=True)
    message = hand_over(stream="support")
    before = message.delivery_set.get().route_epoch
    Attempt.objects.create(
        uid=uuid4(), message=message, connection=office, connection_version=1, lane_epoch=1,
        started_at=timezone.now(), ended_at=timezone.now(), steps=[],
    )  # fmt: skip
    connect("Autre", is_default=True)
    words = text(page.get(f"/messages/{message.uid}/"))
    assert "Pourquoi : toutes les règles" in words
    assert "L’expéditeur par défaut l’emporte sur tout. Cette règle décide. Choisie." in words
    assert f"Version {before} de la configuration." in words
    assert "Avec la version 1 de ses réglages, changés en dernier par claire@exemple.fr" in words
    told = message_resource(find(str(message.uid)), timezone.now())["deliveries"][0]
    assert told["configuration_version"] == before
    assert [rule["outcome"] for rule in told["rules"]].count("matched") == 1
    assert len(told["rules"]) == 9


def test_links_that_no_mail_program_follows_with_one_click_are_told(page, settings):
    assert "VAGUEMESTRE_BASE_URL" in text(page.get("/communications/marketing/"))
    assert "VAGUEMESTRE_BASE_URL" not in text(page.get("/communications/support/"))
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, base_url="https://courrier.exemple.fr")
    assert "VAGUEMESTRE_BASE_URL" not in text(page.get("/communications/marketing/"))
