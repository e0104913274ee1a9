"""Invoices in the ledger: once for each number and recipient, whoever asks and how often."""

import hashlib
from dataclasses import replace
from datetime import date

import pytest
from django.db import connection as database

from ledger.kit import NOW, at_once, connect
from vaguemestre.ledger import invoices
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.invoices import Order
from vaguemestre.ledger.models import Delivery, Invoice, Message
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.address_list import parse_named

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40


def order(number="2026-118", to="ann@example.net", **values):
    plain = Order(
        number, parse_named(to, "to"), PDF, amount="1234.50", currency="EUR", due=date(2026, 12, 31)
    )
    return replace(plain, **values)


def send(*args, **values):
    return invoices.send(order(*args, **values), None, Via.API, NOW)


@pytest.mark.django_db
def test_an_invoice_is_held_in_doubt_and_leaves_through_its_stream():
    connect()
    sent = send()
    assert (sent.message.stream.key, sent.message.on_doubt) == ("invoices", "hold")
    assert send("2", stream="support").message.on_doubt == "hold"
    assert send("3", on_doubt="retry").message.on_doubt == "retry"
    assert sent.sha256 == hashlib.sha256(PDF).hexdigest()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("number", "to"),
    [
        ("2026-118", "ann@example.net"),
        ("2026\uff0d118", "ANN@example.net"),
        ("2026-118", "Ann <ann@EXAMPLE.net>"),
    ],
)
def test_the_same_number_to_the_same_recipient_is_a_conflict_that_says_when(number, to):
    connect()
    first = send()
    with pytest.raises(Conflict) as caught:
        send(number, to)
    assert caught.value.code == "invoice_sent"
    assert caught.value.facts["message"] == str(first.message.uid)
    assert caught.value.message == (
        "Invoice 2026-118 was taken for ann@example.net at 2026-11-24 12:00 UTC; it is queued."
        f" To send it once more, name that message: again {first.message.uid}."
    )
    assert (Invoice.objects.count(), Message.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_again_and_to_somebody_else_it_goes():
    connect()
    first = send()
    second = send(again=str(first.message.uid))
    third = send(again=str(second.message.uid).upper())
    assert [second.again, third.again] == [1, 2]
    assert send(to="bob@example.net").again == 0
    assert [one.recipient for one in invoices.find("2026-118")] == ["ann@example.net"] * 3 + [
        "bob@example.net"
    ]
    assert [one.number for one in invoices.latest("BOB")] == ["2026-118"]


@pytest.mark.django_db
def test_the_same_repetition_asked_for_twice_is_one():
    """A client that never saw the answer asks again, without an Idempotency-Key: nobody is billed twice."""
    connect()
    first = str(send().message.uid)
    made = send(again=first)
    assert send(again=first) == made
    send(again=str(made.message.uid))
    assert send(again=first) == made
    assert (Invoice.objects.count(), Message.objects.count()) == (3, 3)
    with pytest.raises(Conflict):
        send(again=first, pdf=PDF + b"%")
    assert Message.objects.count() == 3


@pytest.mark.django_db
def test_again_names_a_message_that_took_this_number_to_this_recipient():
    connect()
    other = str(send("2026-119").message.uid)
    send()
    for again in (other, "nosuch", "True"):
        with pytest.raises(Refusal) as caught:
            send(again=again)
        assert [(fault.field, fault.code) for fault in caught.value.errors] == [("again", "invoice_again")]
    with pytest.raises(Refusal):
        send("2026-120", again=other)
    assert Message.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"number": " 1"}, ["number"]),
        ({"number": ""}, ["number"]),
        ({"number": "1\n2"}, ["number"]),
        ({"pdf": b"PK"}, ["pdf"]),
        ({"currency": ""}, ["currency"]),
        ({"template": "nosuch"}, ["template"]),
        ({"stream": "nosuch"}, ["stream"]),
        ({"on_doubt": "maybe"}, ["on_doubt"]),
        ({"filename": "a/b.pdf"}, ["filename"]),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_kept(values, fields):
    with pytest.raises(Refusal) as caught:
        send(**values)
    assert [fault.field for fault in caught.value.errors] == fields
    assert (Invoice.objects.count(), Message.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_part_is_looked_for_among_the_latest_and_a_whole_one_among_all(monkeypatch):
    connect()
    for number in ("2026-118", "2026-119", "2026-120"):
        send(number, "ann@example.net")
    send("2026-121", "bob@example.net")
    monkeypatch.setattr(invoices, "SEARCHED", 2)

    def found(text, *args):
        return [one.number for one in invoices.latest(text, *args)]

    assert found("2026-1") == ["2026-121", "2026-120"]
    assert found("2026-118") == ["2026-118"]
    assert found("ANN@example.net") == ["2026-120", "2026-119", "2026-118"]
    assert found("ann@example.net", 2) == ["2026-120", "2026-119"]
    assert found("ann@example.net", 2, invoices.find("2026-119")[0].pk) == ["2026-118"]


@pytest.mark.django_db
@pytest.mark.parametrize("which", [0, 1, 2])
def test_no_search_reads_the_whole_register(which):
    query = list(invoices._matching(Invoice.objects.order_by("-pk"), "2026-118"))[which][:51]
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = query.explain()
    indexes = {
        0: ("invoice_once", "(number_key=?)"),
        1: ("invoice_recipient",),
        2: ("INTEGER PRIMARY KEY", "invoice_pkey"),
    }
    assert any(index in plan for index in indexes[which]), plan


@pytest.mark.django_db
def test_an_unknown_number_is_missing():
    for number in ("nosuch", "a\0b"):
        with pytest.raises(Missing):
            invoices.find(number)


@pytest.mark.django_db(transaction=True)
def test_of_eight_that_ask_at_once_one_is_sent():
    connect()

    def ask():
        try:
            return send().again
        except Conflict as conflict:
            return conflict.code

    assert sorted(map(str, at_once([ask] * 8))) == ["0"] + ["invoice_sent"] * 7
    assert (Invoice.objects.count(), Delivery.objects.count()) == (1, 1)
