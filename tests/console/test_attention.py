"""What waits for a person is told on every page."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from console.kit import connect, hand_over, text
from vaguemestre.ledger import connections, verifications
from vaguemestre.ledger.models import Connection, Delivery, Lane
from vaguemestre.ledger.verifications import Record

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


def test_a_verification_that_failed_and_a_certificate_that_ends_are_told(page):
    office, fine = connect("Bureau"), connect("Boutique")
    now = timezone.now()
    for connection, ok in ((office, False), (fine, True)):
        record = Record(ok=ok)
        verifications.keep(connection.fingerprint, connection, record, now)
    Lane.objects.filter(connection=fine).update(certificate_ends_at=datetime(2026, 1, 9, 12, tzinfo=UTC))
    words = text(page.get("/messages/"))
    assert "Bureau · Sa dernière vérification a échoué." in words
    assert "Boutique · Le certificat de son serveur prend fin le 9 janvier 2026." in words

    Lane.objects.update(certificate_ends_at=now + timedelta(days=22))
    connections.edit(str(office.uid), {"sender_email": "autre@exemple.org"}, "test", now)
    words = text(page.get("/messages/"))
    assert "Sa dernière vérification" not in words
    assert "prend fin" not in words
