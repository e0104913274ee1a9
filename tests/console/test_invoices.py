"""Factures: the register, searched by number."""

import pytest
from django.utils import timezone

from console.kit import connect, text
from vaguemestre.ledger import invoices
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.invoices import Order
from vaguemestre.ledger.models import Delivery
from vaguemestre.mail.address_list import parse_named

pytestmark = pytest.mark.django_db


def send(number, to="lea@exemple.org"):
    order = Order(number, parse_named(to, "to"), b"%PDF-1.4", amount="12.50", currency="EUR")
    return invoices.send(order, None, Via.API, timezone.now())


def test_a_number_is_found_with_what_became_of_it(page):
    connect("Bureau")
    send("2026-118")
    send("2026-119", "max@exemple.org")
    accepted = Delivery.objects.filter(recipient="lea@exemple.org")
    accepted.update(
        state="accepted", settled_at=timezone.now(), last_code=250, last_text="2.0.0 Ok: queued as 7F3A"
    )

    words = text(page.get("/messages/invoices/?q=118"))

    assert "2026-118" in words
    assert "2026-119" not in words
    assert "12,50 EUR" in words
    assert "accepté par le serveur" in words
    assert "250 2.0.0 Ok: queued as 7F3A" in words
    assert "2026-119" in text(page.get("/messages/invoices/?q=MAX@"))
    assert "Pas de facture « 999 »" in text(page.get("/messages/invoices/?q=999"))


def test_the_messages_page_leads_there(page):
    assert "/messages/invoices/" in page.get("/messages/").content.decode()
    assert "Pas encore de facture" in text(page.get("/messages/invoices/"))
