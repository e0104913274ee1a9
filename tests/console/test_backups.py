"""Backup connections as people see them: chosen in the form, told on every page, named at each message."""

import pytest
from django.utils import timezone

from console.kit import connect, errors, hand_over, tags, text, typed
from vaguemestre.ledger import backups
from vaguemestre.ledger.models import Connection


def options(answer):
    """Those of the choice of a backup, which is not the only choice on the page."""
    choice = None
    for tag, attrs in tags(answer):
        choice = attrs.get("name") if tag == "select" else choice
        if tag == "option" and choice == "backup":
            yield attrs


def choices(answer):
    return [attrs.get("value") for attrs in options(answer)]


def chosen(answer):
    return [attrs.get("value") for attrs in options(answer) if "selected" in attrs]


@pytest.fixture
def pair(db):
    """A locked connection with its backup."""
    spare = connect("Secours")
    office = connect("Bureau", backup=str(spare.uid))
    return office, spare


def lock(connection):
    Connection.objects.filter(pk=connection.pk).update(
        health="locked", health_why="sign_in_refused", health_since=timezone.now()
    )


def test_the_form_offers_the_other_connections_and_none(page, pair):
    office, spare = pair
    answer = page.get(f"/connections/{office.uid}/")

    assert choices(answer) == ["", str(spare.uid)]
    assert chosen(answer) == [str(spare.uid)]
    assert "Connexion de secours" in text(answer)
    assert choices(page.get("/connections/new/")) == ["", str(office.uid), str(spare.uid)]


def test_a_backup_is_chosen_and_taken_away(page, pair):
    office, spare = pair
    page.post(f"/connections/{spare.uid}/", typed(name="Secours", backup=str(office.uid)))
    assert Connection.objects.get(pk=spare.pk).backup == office

    page.post(f"/connections/{spare.uid}/", typed(name="Secours", backup=""))
    assert Connection.objects.get(pk=spare.pk).backup is None


def test_a_connection_that_is_to_stand_in_for_itself_is_refused_at_the_field(page, pair):
    office, _ = pair
    answer = page.post(f"/connections/{office.uid}/", typed(backup=str(office.uid)))

    assert answer.status_code == 422
    assert errors(answer)["backup"] == "Une connexion ne peut pas se remplacer elle-même."


def test_a_backup_that_is_gone_is_refused_at_the_field(page, pair):
    office, _ = pair
    answer = page.post(f"/connections/{office.uid}/", typed(backup="0190b3c0-0000-7000-8000-000000000000"))

    assert errors(answer)["backup"] == "Cette connexion n’existe plus."


def test_a_backup_in_use_is_told_on_every_page_and_at_its_connection(page, pair):
    office, _ = pair
    assert "la remplace" not in text(page.get("/messages/"))
    lock(office)

    assert "Bureau · Hors service ; « Secours » la remplace." in text(page.get("/messages/"))
    assert "« Secours » la remplace en attendant." in text(page.get(f"/connections/{office.uid}/"))


def test_a_message_says_who_carries_it_in_whose_place(page, pair):
    office, _ = pair
    message = hand_over(connection=str(office.uid))
    lock(office)
    assert [backups.move(pair, timezone.now()) for pair in backups.concerned()] == [1]

    words = text(page.get(f"/messages/{message.uid}/"))

    assert "« Secours » l’achemine, en remplacement de « Bureau »." in words
    assert "Confié à « Secours », en remplacement de « Bureau »" in words

    Connection.objects.filter(pk=office.pk).update(health="ready", health_since=None)
    assert [backups.move(pair, timezone.now()) for pair in backups.concerned()] == [1]
    words = text(page.get(f"/messages/{message.uid}/"))
    assert "l’achemine" not in words
    assert "Revenu de « Secours » à « Bureau »" in words
