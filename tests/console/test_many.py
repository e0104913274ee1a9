"""All held messages that the list shows, released or cancelled together: told first, and done to no others."""

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, filled, hand_over, text
from vaguemestre.ledger import many, sending
from vaguemestre.ledger.models import Delivery, Event

HELD, RELEASE, CANCEL = "/messages/?state=held", "/messages/held/release/", "/messages/held/cancel/"
pytestmark = pytest.mark.django_db


def states():
    return sorted(Delivery.objects.values_list("recipient", "state"))


@pytest.fixture
def held(page):
    return [hand_over(f"lea{number}@exemple.org", subject=f"Facture {number}").uid for number in range(3)]


def test_all_held_messages_are_cancelled_once_that_was_confirmed(page, held):
    assert [f'href="{address}"' in page.get(HELD).content.decode() for address in (RELEASE, CANCEL)] == [
        True
    ] * 2
    asked = page.get(CANCEL)
    assert "Annuler 3 messages retenus ?" in text(asked)
    assert "on ne peut pas revenir en arrière" in text(asked)
    assert {state for _, state in states()} == {"held"}

    done = page.post(CANCEL, filled(asked), follow=True)

    assert done.redirect_chain == [(HELD, 302)]
    assert "3 messages sont annulés." in text(done)
    assert {state for _, state in states()} == {"cancelled"}
    assert [event.detail for event in Event.objects.filter(state="cancelled")] == [
        {"code": "cancelled", "actor": "user:claire@exemple.fr"}
    ] * 3


def test_what_came_after_the_page_or_is_held_no_more_is_left_alone(page, held):
    asked = page.get(CANCEL)
    page.post(f"/messages/{held[0]}/cancel/")
    hand_over("apres@exemple.org")

    done = page.post(CANCEL, filled(asked), follow=True)

    assert "2 messages sont annulés." in text(done)
    assert "1 message n’était plus retenu et n’a pas été touché." in text(done)
    assert ("apres@exemple.org", "held") in states()
    assert "3 messages n’étaient plus retenus" in text(page.post(CANCEL, filled(asked), follow=True))


def test_released_is_what_a_connection_may_carry_and_the_rest_is_told(page, held):
    asked = page.get(RELEASE)
    assert "Ce qui n’a toujours pas de chemin reste retenu." in text(asked)
    assert "3 messages restent retenus : il n’y a toujours pas de chemin pour eux." in text(
        page.post(RELEASE, filled(asked), follow=True)
    )
    office = connect("Bureau", active=False)
    hand_over("autre@exemple.org", connection=str(office.uid))
    connect("Vente")

    done = page.post(RELEASE, filled(page.get(RELEASE)), follow=True)

    assert "3 messages partent maintenant." in text(done)
    assert "1 message reste retenu" in text(done)
    assert states()[0] == ("autre@exemple.org", "held")
    carried = Delivery.objects.filter(state="queued")
    assert {(one.connection.name, one.route["sender"]["email"]) for one in carried} == {
        ("Vente", "vente@exemple.fr")
    }
    assert Event.objects.filter(detail__code="released").count() == 3


def test_while_sending_is_paused_what_is_released_waits_for_that(page, held):
    asked = page.get(RELEASE)
    connect("Vente")
    sending.pause_by_hand(ACTOR, timezone.now())
    assert "3 messages partiront dès que l’envoi reprendra." in text(
        page.post(RELEASE, filled(asked), follow=True)
    )


def test_a_search_narrows_down_what_is_decided_about(page, held):
    hand_over("max@exemple.org", subject="Devis")
    listed = page.get(f"{HELD}&q=Devis").content.decode()
    assert f'href="{CANCEL}?q=Devis"' in listed
    asked = page.get(f"{CANCEL}?q=Devis")
    assert (
        "Annuler 1 message retenu ? En attente pour 1 destinataire. Trouvés par la recherche « Devis »."
        in text(asked)
    )
    assert page.post(f"{CANCEL}?q=Devis", filled(asked)).url == f"{HELD}&q=Devis"
    assert dict(states()) | {"max@exemple.org": "cancelled"} == dict(states())


def test_so_many_at_a_time_and_no_message_in_part(page, held, monkeypatch):
    hand_over("b1@exemple.org", "b2@exemple.org", "b3@exemple.org", "b4@exemple.org", subject="Liste")
    monkeypatch.setattr(many, "MOST", 4)
    asked = page.get(CANCEL)
    assert "Annuler 3 messages retenus ? En attente pour 3 destinataires. Il y en a d’autres" in text(asked)
    page.post(CANCEL, filled(asked))
    asked = page.get(CANCEL)
    assert "Annuler 1 message retenu ? En attente pour 4 destinataires." in text(asked)
    monkeypatch.setattr(many, "MOST", 2)
    assert "Annuler 1 message retenu ? En attente pour 4 destinataires." in text(page.get(CANCEL))
    page.post(CANCEL, filled(page.get(CANCEL)))
    assert {state for _, state in states()} == {"cancelled"}
    assert page.get(CANCEL).url == HELD


@pytest.mark.parametrize("address", ["/messages/held/resend/", "/messages/held/x/"])
def test_there_is_nothing_else_to_decide(page, address):
    assert page.get(address).status_code == 404


def test_nothing_of_what_is_not_held_is_offered_or_taken(page):
    connect("Bureau", is_default=True)
    message = hand_over()
    assert RELEASE not in page.get("/messages/").content.decode()
    assert page.post(CANCEL, {"messages": str(message.uid)}).status_code == 302
    assert page.post(CANCEL, {"messages": "x"}).status_code == 404
    assert states() == [("lea@exemple.org", "queued")]
