"""What waits for a person is told on every page."""

import pytest

from console.kit import connect, hand_over, text
from vaguemestre.ledger.models import Connection, Delivery

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address", ["/connections/", "/messages/", "/keys/", "/source-addresses/", "/settings/"]
)
def test_held_and_doubtful_messages_and_locked_connections_are_told_on_every_page(page, address):
    hand_over()
    hand_over()
    connect("Bureau")
    doubtful = hand_over("zoe@exemple.org")
    Delivery.objects.filter(message=doubtful).update(
        state="in_doubt", doubts=1, doubt_reason="timeout", next_attempt_at=None
    )
    Connection.objects.update(health="locked", health_why="sign_in_refused")
    words = text(page.get(address))
    assert "2 messages attendent une connexion qui puisse les porter." in words
    assert "1 message est peut-être arrivé" in words
    assert "Le serveur a refusé le login ou le mot de passe" in words


def test_nothing_is_told_when_nothing_waits(page):
    connect("Bureau")
    hand_over()
    answer = page.get("/messages/")
    assert "peut-être arrivé" not in text(answer)
    assert "note wary" not in answer.content.decode()
