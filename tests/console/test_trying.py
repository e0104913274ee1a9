"""The button M’envoyer un message d’essai: an ordinary message, followed on the connection's page."""

import pytest
from django.utils import timezone

from console.kit import connect, tags, text
from vaguemestre.ledger import connections, messages
from vaguemestre.ledger.models import Delivery, Message

pytestmark = pytest.mark.django_db

BUTTON = "M’envoyer un message d’essai"


def sent(page, office, **headers):
    return page.post(f"/connections/{office.uid}/test/", headers=headers)


def test_the_message_is_for_the_reader_alone_and_like_any_other(page, claire):
    office = connect("Bureau secret")
    assert BUTTON in text(page.get(f"/connections/{office.uid}/"))
    answer = sent(page, office)
    (message,) = Message.objects.all()
    (delivery,) = messages.deliveries_of(message)
    assert (delivery.recipient, delivery.connection) == (claire.email, office)
    assert message.subject == "Message d’essai de Vaguemestre"
    assert (message.via, message.tags) == ("console", ["test"])
    assert answer["Location"] == f"/connections/{office.uid}/?test={message.uid}#test"


def test_its_state_is_followed_on_the_page_and_leads_to_the_message(page):
    office = connect()
    answer = page.get(sent(page, office)["Location"].partition("#")[0])
    message = Message.objects.get()
    assert "en file" in text(answer)
    follows = [attrs["hx-get"] for _, attrs in tags(answer) if "hx-get" in attrs]
    assert f"/connections/{office.uid}/test/{message.uid}/" in follows
    assert ("a", f"/messages/{message.uid}/") in {(tag, attrs.get("href")) for tag, attrs in tags(answer)}

    Delivery.objects.update(state="accepted", settled_at=timezone.now(), next_attempt_at=None)
    part = page.get(f"/connections/{office.uid}/test/{message.uid}/")
    assert "accepté par le serveur" in text(part)
    assert "hx-get" not in part.content.decode()  # nothing more will happen
    assert f"/connections/{office.uid}/deliverability/#received" in part.content.decode()


def test_with_a_script_the_part_comes_back_at_once(page):
    office = connect()
    answer = sent(page, office, **{"HX-Request": "true"})
    assert answer.status_code == 200
    assert "en file" in text(answer)
    assert "<h1" not in answer.content.decode()


def test_where_another_connection_would_carry_it_that_is_said_instead(page):
    office, default = connect("Bureau"), connect("Boutique", is_default=True)
    words = text(page.get(f"/connections/{office.uid}/"))
    assert BUTTON not in words
    assert "il partirait par « Boutique », comme tous les messages" in words
    assert BUTTON in text(page.get(f"/connections/{default.uid}/"))


def test_an_inactive_connection_is_not_tried_with_a_message(page):
    office = connect(active=False)
    words = text(page.get(f"/connections/{office.uid}/"))
    assert BUTTON not in words
    assert "Activez d’abord la connexion" in words


def test_an_old_address_of_the_page_still_shows_it(page):
    office = connect()
    for asked in ("nonsense", "0190c2de-0000-7000-8000-000000000000"):
        answer = page.get(f"/connections/{office.uid}/?test={asked}")
        assert answer.status_code == 200
        assert BUTTON in text(answer)


def test_nobody_signed_in_sends_nothing(stranger):
    office = connect()
    assert sent(stranger, office).status_code in {302, 403}
    assert not Message.objects.exists()
    assert connections.all_connections() == [office]
