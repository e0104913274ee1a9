"""Envoi: all of it paused and resumed, and the notice on every page meanwhile."""

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, hand_over, tags, text
from vaguemestre.ledger import connections, leases, sending
from vaguemestre.ledger.models import Delivery
from vaguemestre.policy.installation import PauseWhy

pytestmark = pytest.mark.django_db
URL = "/sending/"


@pytest.fixture
def office(db):
    """A connection whose lane a courier holds."""
    made = connect("Bureau")
    leases.take("a-test's-courier", timezone.now())
    return made


def states():
    return sorted(Delivery.objects.values_list("state", flat=True))


def hidden(answer):
    """What the forms of a page carry besides their token."""
    return {
        a["name"]: a["value"]
        for tag, a in tags(answer)
        if tag == "input" and a.get("type") == "hidden" and a["name"] != "csrfmiddlewaretoken"
    }


def test_a_person_pauses_all_of_it_and_resumes_it_on_one_page(page, office):
    hand_over("lea@exemple.org", "paul@exemple.org")
    shown = page.get(URL)
    assert "Les emails partent." in text(shown)
    assert URL in page.get("/settings/").content.decode()
    paused = page.post(f"{URL}pause/", follow=True)
    words = text(paused)
    assert "L’envoi est en pause : tout ce qui est remis attend. En pause depuis le " in words
    assert ", par claire@exemple.fr." in words
    assert "2 destinataires attendent depuis avant la pause." in words
    assert "Reprendre : ce qui attend part" in words
    hand_over()
    resumed = page.post(f"{URL}resume/", hidden(paused), follow=True)
    assert "L’envoi reprend." in text(resumed)
    assert "annulé" not in text(resumed)
    assert (sending.paused(), states()) == (None, ["queued"] * 3)


def test_cancelling_what_waits_is_asked_for_twice_and_spares_what_has_come_since(page, office):
    hand_over("lea@exemple.org", "paul@exemple.org")
    page.post(f"{URL}pause/")
    hand_over("zoe@exemple.org")
    assert f"{URL}cancel/" in page.get(URL).content.decode()
    asked = page.get(f"{URL}cancel/")
    assert "Annuler ce qui attend, puis reprendre ?" in text(asked)
    assert "est annulé, y compris ce qui est retenu : 2 destinataires." in text(asked)
    assert "on ne peut pas revenir en arrière" in text(asked)
    assert states() == ["queued"] * 3
    done = page.post(f"{URL}cancel/", hidden(asked), follow=True)
    assert "Envoi annulé pour 2 destinataires. L’envoi reprend." in text(done)
    assert (sending.paused(), states()) == (None, ["cancelled", "cancelled", "queued"])


def test_what_is_held_is_cancelled_too_and_no_number_is_said_to_leave(page):
    hand_over()
    page.post(f"{URL}pause/")
    shown = page.get(URL)
    assert states() == ["held"]
    assert "1 destinataire attend depuis avant la pause." in text(shown)
    assert "Reprendre : ce qui attend part" in text(shown)
    assert "Ce qui est retenu reste retenu." in text(shown)
    done = page.post(f"{URL}cancel/", hidden(page.get(f"{URL}cancel/")), follow=True)
    assert "Envoi annulé pour 1 destinataire." in text(done)
    assert states() == ["cancelled"]


def test_where_nothing_waits_there_is_nothing_to_cancel(page, office):
    assert page.get(f"{URL}cancel/").url == URL
    page.post(f"{URL}pause/")
    words = text(page.get(URL))
    assert "Rien n’attend depuis avant la pause." in words
    assert "Reprendre l’envoi" in words
    assert "Annuler, puis" not in words
    assert page.get(f"{URL}cancel/").url == URL


def test_where_no_connection_is_active_the_page_does_not_say_that_mail_is_sent(page, office):
    connections.deactivate(str(office.uid), ACTOR, timezone.now())
    words = text(page.get(URL))
    assert "aucune connexion n’est active : tout est retenu." in words
    assert "Les emails partent." not in words


def test_an_older_page_ends_no_other_pause_than_it_showed_and_is_answered_calmly(page, office):
    hand_over()
    page.post(f"{URL}pause/")
    old = hidden(page.get(f"{URL}cancel/"))
    sending.resume("cli:ada", timezone.now())
    late = page.post(f"{URL}cancel/", old)
    assert late.status_code == 409
    assert "L’envoi n’est pas en pause : il n’y a rien à reprendre. Les emails partent." in text(late)
    sending.pause("courier", timezone.now(), PauseWhy.ELSEWHERE)
    for act in ("cancel", "resume"):
        stale = page.post(f"{URL}{act}/", old)
        assert stale.status_code == 409
        assert "L’envoi a été remis en pause entre-temps" in text(stale)
    assert "L’envoi est déjà en pause." in text(page.post(f"{URL}pause/"))
    assert (sending.paused().why, states()) == (PauseWhy.ELSEWHERE, ["queued"])


def test_what_may_be_a_copy_says_why_on_every_page_and_names_nobody(page, claire, office):
    facts = {"reached": 1_795_869_600_000, "left_off": 1_795_780_800_000}
    sending.pause("courier", timezone.now(), PauseWhy.OLDER, facts)
    older = "un état ancien (27/11/2026 12:00 UTC) d’une installation qui a continué à envoyer jusqu’au 28/11/2026 12:40"
    for address in ("/connections/", "/messages/", "/settings/", URL):
        words = text(page.get(address))
        assert words.count(older) == 1, address
        assert "En pause depuis le " in words
        assert ", par courier" not in words
        assert ("Voir et décider" in words) == (address != URL)
    assert "Ce qui attend ici est peut-être déjà parti : annulez-le" in text(page.get(URL))
    claire.language = "en"
    claire.save()
    assert "See and decide" in text(page.get("/messages/"))


def test_without_a_courier_the_page_does_not_say_that_mail_is_sent(page):
    words = text(page.get(URL))
    assert "Aucun coursier" in words
    assert "Les emails partent." not in words


def test_it_is_for_people_who_are_signed_in(stranger):
    assert stranger.get(URL).status_code == 302
    for act in ("pause", "resume", "cancel"):
        assert stranger.post(f"{URL}{act}/").status_code == 302
    assert sending.paused() is None


def test_pausing_and_resuming_are_posted(page):
    assert {page.get(f"{URL}{act}/").status_code for act in ("pause", "resume")} == {405}


def test_a_message_and_a_connection_say_that_all_of_it_is_paused(page, office):
    message = hand_over()
    page.post(f"{URL}pause/")
    said = "Tout l’envoi est en pause : rien ne part. Mis en pause par claire@exemple.fr, le "
    assert said in text(page.get(f"/messages/{message.uid}/"))
    released = page.post(f"/messages/{message.uid}/release/", follow=True)
    assert "Il partira dès que l’envoi reprendra." in text(released)
    shown = text(page.get(f"/connections/{office.uid}/lane/"))
    assert said in shown
    assert "Rien n’est perdu" in shown
