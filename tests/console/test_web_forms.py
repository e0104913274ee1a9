"""Formulaires: set up without a script, seen, exported, deleted."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from console.kit import connect, errors, text
from forms.kit import FIELDS, RIGHT, contact, send
from vaguemestre.ledger import forms
from vaguemestre.ledger.models import Form, FormSubmission, Message
from vaguemestre.policy.form_field import trap

pytestmark = pytest.mark.django_db


def typed(**values):
    """The page as a browser posts it."""
    given = {
        "name": "Contact", "active": "on", "notify": "bureau@exemple.fr", "replies": "on", "template": "form-reply",
        "connection": "", "reply_to": "", "languages": "fr", "thanks_url": "", "origins": "",
        "per_address": "10", "per_hour": "100", "retention_days": "180", "act": "save",
    }  # fmt: skip
    rows = (("2", "Votre email", "email"), ("1", "Prénom & nom", "name"), ("3", "", "text"))
    for number, (order, label, kind) in enumerate(rows):
        given |= {
            f"field-{number}-order": order,
            f"field-{number}-label": label,
            f"field-{number}-kind": kind,
        }
    return {name: value for name, value in (given | values).items() if value is not None}


def test_a_form_is_made_and_its_html_is_shown(page):
    answer = page.post("/forms/new/", typed(), follow=True)

    form = Form.objects.get()
    assert [(one.name, one.label) for one in forms.fields_of(form)] == [
        ("prenom_nom", "Prénom & nom"),
        ("votre_email", "Votre email"),
    ]
    assert "« Contact » est enregistré" in text(answer)
    assert f'action="http://127.0.0.1:8587/f/{form.key}"' in text(answer)
    assert f'name="{trap(form.key)}"' in text(answer)


def test_rows_are_added_and_faults_stand_in_their_rows(page):
    more = page.post("/forms/new/", typed(act="rows"))
    assert more.content.decode().count("<fieldset") == 7
    assert Form.objects.count() == 0
    answer = page.post(
        "/forms/new/", typed(**{"field-2-label": "Choix", "field-2-kind": "choice", "notify": "bureau@"})
    )
    assert answer.status_code == 422
    assert "notify" in errors(answer)
    answer = page.post("/forms/new/", typed(**{"field-2-label": "Choix", "field-2-kind": "choice"}))
    assert "Un champ a des réponses si l’on en choisit une" in text(answer)
    answer = page.post("/forms/new/", typed(**{"field-0-label": ""}))
    assert "replies" in errors(answer)


def test_the_list_says_what_the_default_overrides(page):
    connect("Bureau", is_default=True)
    own = connect("Boutique")
    contact(connection=str(own.uid), reply_to="accueil@exemple.fr")
    words = text(page.get("/forms/"))
    assert "connexion, « Boutique », est supplantée." in words
    assert "Sa propre adresse de réponse, accueil@exemple.fr, est supplantée." in words


def test_submissions_are_listed_exported_and_deleted(page):
    connect("Bureau")
    form = contact()
    send(form, RIGHT | {"message": '=HYPERLINK("http://x")'})
    send(form, RIGHT | {"courriel": "noreply@exemple.org"})
    words = text(page.get(f"/forms/{form.key}/submissions/"))
    assert "Léa Marchand" in words
    assert "Personne ne lit à cette adresse" in words

    exported = b"".join(page.get(f"/forms/{form.key}/submissions/csv/")).decode("utf-8-sig")
    head, first, second = csv.reader(io.StringIO(exported))
    assert head == ["id", "time", "language", "Nom", "Email", "Message"]
    assert first[3:] == ["Léa Marchand", "lea@exemple.org", '\'=HYPERLINK("http://x")']

    page.post(f"/forms/{form.key}/submissions/{first[0]}/delete/")
    assert [str(one.uid) for one in FormSubmission.objects.all()] == [second[0]]
    page.post(f"/forms/{form.key}/delete/")
    assert (Form.objects.count(), FormSubmission.objects.count(), Message.objects.count()) == (0, 0, 3)


def test_a_file_stands_under_its_fields_label_and_templates_have_their_names(page):
    form = contact(fields=[*FIELDS, {"name": "piece", "label": "Pièce jointe", "kind": "file"}])
    send(form, RIGHT | {"piece": SimpleUploadedFile("plan.pdf", b"%PDF")})
    assert "Pièce jointe plan.pdf" in text(page.get(f"/forms/{form.key}/submissions/"))
    assert "Réponse à un formulaire" in text(page.get("/forms/new/"))


def test_a_connection_that_a_form_names_is_not_deleted_without_saying_what_the_form_uses_then(page):
    one, two = connect("Bureau"), connect("Boutique")
    form = contact(connection=str(one.uid))
    shown = text(page.get(f"/connections/{one.uid}/delete/"))
    assert "Formulaire Contact" in shown
    assert page.post(f"/connections/{one.uid}/delete/").status_code == 409
    page.post(f"/connections/{one.uid}/delete/", {"reassign": str(two.uid)})
    assert forms.find(form.key).connection == two


def test_an_old_submission_is_forgotten(page):
    from datetime import timedelta

    from vaguemestre.ledger import retention

    connect("Bureau")
    form = contact(retention_days=10)
    send(form)
    FormSubmission.objects.update(at=timezone.now() - timedelta(days=11))
    retention.sweep(timezone.now())
    assert FormSubmission.objects.count() == 0
    assert forms.find(form.key).fields[0]["name"] == FIELDS[0]["name"]
