"""The list of connections: the ruling, the switch, the question, verification and volume at a glance."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit import ACTOR, HTMX, connect, hand_over, tags, text
from vaguemestre.ledger import connections, instance, verifications
from vaguemestre.ledger.models import Attempt, Connection, Delivery


def listed(page):
    return text(page.get("/connections/"))


def keep(connection, *, ok, at):
    verifications.keep(connection.fingerprint, connection, verifications.Record(ok=ok), at)


def test_an_empty_list_invites_to_the_first_connection(page):
    words = listed(page)

    assert "Votre première connexion" in words
    assert "Laquelle sert" not in words


def test_the_only_active_connection_carries_everything(page):
    connect("Bureau")
    connect("Support", active=False)

    assert "Tous les emails partent de Bureau <bureau@exemple.fr> : la seule connexion active." in listed(
        page
    )


def test_the_default_carries_everything(page):
    connect("Bureau", is_default=True)
    connect("Support")

    assert "Tous les emails partent de Bureau <bureau@exemple.fr> : expéditeur par défaut." in listed(page)


def test_in_fallback_the_default_carries_the_rest(page):
    connect("Bureau", is_default=True)
    instance.change_settings({"default_mode": "fallback"}, ACTOR, timezone.now())

    assert "Ce qui ne correspond à aucune autre connexion part de Bureau" in listed(page)


def test_several_without_a_default_ask_which_one_serves_the_rest(page):
    office = connect("Bureau")
    connect("Support")
    assert "Laquelle sert pour le reste ?" in listed(page)

    answer = page.post(f"/connections/{office.uid}/default/", follow=True)

    assert "« Bureau » est désormais l’expéditeur par défaut." in text(answer)
    assert "Laquelle sert" not in text(answer)
    assert Connection.objects.get(is_default=True).name == "Bureau"


def test_naming_another_default_tells_whom_it_demoted(page):
    connect("Bureau", is_default=True)
    support = connect("Support")

    answer = page.post(f"/connections/{support.uid}/default/", follow=True)

    assert "« Bureau » n’est plus l’expéditeur par défaut ; la connexion reste active." in text(answer)
    assert Connection.objects.get(is_default=True).name == "Support"


def test_without_an_active_connection_the_page_says_that_nothing_is_lost(page):
    connect("Bureau", active=False)

    assert "Aucune connexion n’est active." in listed(page)
    assert "aucun n’est perdu" in listed(page)


def test_the_switch_works_without_a_script(page):
    office = connect("Bureau")

    assert page.post(f"/connections/{office.uid}/active/", {"active": "false"}).url == "/connections/"
    assert not Connection.objects.get().active
    page.post(f"/connections/{office.uid}/active/", {"active": "true"})
    assert Connection.objects.get().active


def test_the_switch_answers_a_script_with_the_list_alone(page):
    office = connect("Bureau")

    answer = page.post(f"/connections/{office.uid}/active/", {"active": "false"}, headers=HTMX)

    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()
    assert "Aucune connexion n’est active." in text(answer)
    assert ("button", "false") in [
        (tag, a.get("aria-checked")) for tag, a in tags(answer) if a.get("role") == "switch"
    ]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_switching_the_default_off_leads_to_the_page_that_asks_for_its_successor(page, headers):
    office = connect("Bureau", is_default=True)

    answer = page.post(f"/connections/{office.uid}/active/", {"active": "false"}, headers=headers)

    assert answer.headers.get("HX-Redirect", answer.headers.get("Location")) == (
        f"/connections/{office.uid}/deactivate/"
    )
    assert Connection.objects.get().active


def test_deactivating_the_default_with_a_successor(page):
    office, support = connect("Bureau", is_default=True), connect("Support")
    address = f"/connections/{office.uid}/deactivate/"
    assert "devient l’expéditeur par défaut ; tout partira de support@exemple.fr" in text(page.get(address))
    assert page.post(address).status_code == 409

    page.post(address, {"successor": str(support.uid)})

    assert Connection.objects.get(is_default=True).name == "Support"
    assert not Connection.objects.get(name="Bureau").active


def test_deactivating_the_default_leaving_none(page):
    office = connect("Bureau", is_default=True)

    page.post(f"/connections/{office.uid}/deactivate/", {"successor": "none"})

    assert not Connection.objects.filter(is_default=True).exists()


def test_an_inactive_successor_is_refused(page):
    office, support = connect("Bureau", is_default=True), connect("Support", active=False)

    answer = page.post(f"/connections/{office.uid}/deactivate/", {"successor": str(support.uid)})

    assert answer.status_code == 422
    assert "Le successeur doit être une autre connexion active." in text(answer)
    assert Connection.objects.get(name="Bureau").active


def test_the_list_tells_when_each_was_verified_and_what_changed_since(page):
    now = timezone.now()
    good, bad, moved = connect("Bureau"), connect("Support"), connect("Serveur Marketing")
    connect("Relais")
    keep(good, ok=True, at=now - timedelta(hours=2))
    keep(bad, ok=False, at=now - timedelta(hours=2))
    keep(moved, ok=True, at=now - timedelta(hours=2))
    connections.edit(str(moved.uid), {"host": "autre.exemple.fr"}, ACTOR, now)

    words = listed(page)

    for told in ("Vérifiée", "Échec de la vérification", "Réglages modifiés depuis", "Jamais vérifiée"):
        assert words.count(told) == 1, told


def test_the_last_day_is_a_plot_with_its_words(page):
    office = connect("Bureau")
    now = timezone.now()
    for hours in (5, 1, 1, 1):
        message, at = hand_over(), now - timedelta(hours=hours, minutes=1)
        Attempt.objects.create(
            uid=uuid4(), connection=office, message=message, connection_version=1, lane_epoch=1, started_at=at,
            ended_at=at, steps=[],
        )  # fmt: skip
        Delivery.objects.filter(message=message).update(state="accepted", settled_at=at, next_attempt_at=None)

    answer = page.get("/connections/")

    (plot,) = [attrs for tag, attrs in tags(answer) if attrs.get("class") == "plot"]
    assert (
        plot["aria-label"].replace("\u00a0", " ")
        == "24 dernières heures : 4 messages acceptés, au plus 3 en une heure"
    )
    bars = [attrs for tag, attrs in tags(answer) if tag == "rect"]
    assert len(bars) == 24
    assert sorted({int(bar["height"]) for bar in bars}) == [1, 9, 28]
    assert office.name in text(answer)


def test_a_connection_that_is_gone_is_a_page_that_says_so(page):
    office = connect("Bureau")
    connections.delete(str(office.uid), ACTOR, timezone.now())

    answer = page.get(f"/connections/{office.uid}/")

    assert answer.status_code == 404
    assert "Il n’y a rien à cette adresse" in text(answer)


def test_the_switch_of_a_connection_that_is_gone_brings_the_list_as_it_is(page):
    gone, there = connect("Bureau"), connect("Boutique")
    connections.delete(str(gone.uid), ACTOR, timezone.now())

    answer = page.post(f"/connections/{gone.uid}/active/", {"active": "false"}, headers=HTMX)

    assert "Cette connexion n’existe plus." in text(answer)
    assert there.name in text(answer)
    assert gone.name not in text(answer)
