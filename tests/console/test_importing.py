"""Pasting another program's configuration: the form is filled, what was not understood is marked."""

from pathlib import Path

import pytest

from console.kit import errors, tags, text
from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection

PASTED = Path(__file__).parents[1] / "providers" / "pasted"
IMPORT = "/connections/import/"


def pasted(name):
    return (PASTED / name).read_text()


def fields(answer):
    """What the form would post."""
    found = {}
    for tag, attrs in tags(answer):
        unticked = attrs.get("type") in {"radio", "checkbox"} and "checked" not in attrs
        if tag == "input" and attrs.get("name") and not unticked:
            found[attrs["name"]] = attrs.get("value", "on")
    return {name: value for name, value in found.items() if name != "csrfmiddlewaretoken"}


def test_a_pasted_file_fills_the_form_and_its_password_the_password_field_alone(page):
    answer = page.post(IMPORT, {"text": pasted("laravel.env")})
    form = fields(answer)
    assert (form["host"], form["port"], form["encryption"], form["login"]) == (
        "ssl0.ovh.net", "465", "ssl", "contact@sainte-foy.example",
    )  # fmt: skip
    assert form["sender_name"] == "Mairie de Sainte-Foy"
    assert form["password"] == 'p@ss#mot "7"'
    assert answer.content.decode().count("p@ss#mot") == 1
    assert "pas-celui-ci" not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert "Ligne 15, MAIL_MARKDOWN_THEME : il s’agit d’email, mais rien ici n’y correspond." in text(answer)
    assert "rien n’est encore enregistré" in text(answer)
    assert not Connection.objects.exists()


def test_the_filled_form_can_be_saved_as_it_is(page):
    form = fields(page.post(IMPORT, {"text": pasted("mailers.py.txt").replace("marketing", "default")}))
    page.post("/connections/new/", form | {"allowed_senders": ""})
    saved = Connection.objects.get()
    assert (saved.host, saved.encryption, saved.active) == ("in-v3.mailjet.com", "starttls", True)
    assert vault.secret_of(saved).reveal() == "cle-secrete"


def test_of_several_one_is_chosen_and_fills_the_form(page):
    listed = page.post(IMPORT, {"text": pasted("postfix.txt")})
    assert "Laquelle ?" in text(listed)
    for label in ("compta@exemple.example", "@boutique.example", "bureau@exemple.example"):
        assert label in text(listed)
    assert "no-store" in listed["Cache-Control"]
    chosen = page.post("/connections/import/choose/", fields(listed))
    form = fields(chosen)
    assert (form["name"], form["host"], form["password"]) == (
        "@boutique.example",
        "smtp.ionos.fr",
        "boutique-9",
    )
    assert (form["max_sessions"], form["active"]) == ("2", "on")
    assert "*@boutique.example" in text(chosen)


@pytest.mark.parametrize(
    ("posted", "message"),
    [
        ({"text": "DB_HOST=x"}, "Ce texte ne décrit aucun compte d’envoi."),
        ({"text": ""}, "Ce texte ne décrit aucun compte d’envoi."),
        ({"text": "x" * 140_000}, "C’est trop long."),
        ({"text": "A=1", "kind": "msmtp"}, "Choisissez l’une des sortes, ou laissez-la reconnaître d’après le texte."),
    ],
)  # fmt: skip
def test_a_text_without_an_account_says_so_at_the_field_and_is_not_shown_again(page, posted, message):
    answer = page.post(IMPORT, posted)
    assert (answer.status_code, errors(answer)) == (422, {"text": message})
    assert "DB_HOST" not in answer.content.decode()


def test_a_faulty_save_after_an_import_does_not_show_the_password_again(page):
    form = fields(page.post(IMPORT, {"text": pasted("laravel.env")}))
    answer = page.post("/connections/new/", form | {"name": ""})
    assert answer.status_code == 422
    assert "p@ss#mot" not in answer.content.decode()


def test_a_script_in_a_pasted_text_is_inert(page):
    answer = page.post(IMPORT, {"text": "SMTP_HOST=a.example\nSMTP_USER=<script>alert(1)</script>"})
    assert "<script>alert" not in answer.content.decode()


def test_the_list_leads_to_it(page):
    assert "Importer" in text(page.get("/connections/"))
    assert page.get(IMPORT).status_code == 200
