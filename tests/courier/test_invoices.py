"""An invoice's way: its PDF byte for byte at the next server, and what became of it, in that server's words."""

import asyncio
import email
from email import policy

import pytest

from scripted.sink import LOST
from vaguemestre.ledger import invoices
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.invoices import Order
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.mail.address_list import parse_named

pytestmark = pytest.mark.any_database
PDF = b"%PDF-1.7\r\n\x00\n.\r\n..\n" + bytes(range(256)) * 300


async def test_an_invoice_arrives_as_it_was_and_is_known_by_its_number(office, sink):
    await office.connect(sink)
    order = Order("2026-118", parse_named("ann@example.net", "to"), PDF, amount="12.50", currency="EUR")
    sent = await office.ask(invoices.send, order, None, Via.API, office.clock())
    async with office.courier():
        await office.until(sent.message, "accepted")

    (taken,) = sink.accepted
    (attachment,) = email.message_from_bytes(taken.content, policy=policy.default).iter_attachments()
    assert attachment.get_content() == PDF

    (found,) = await office.ask(invoices.find, "2026-118")
    outcome = await office.ask(invoices.outcome_of, found)
    assert outcome.accepted
    assert outcome.reply.code == 250
    assert outcome.server.startswith("127.0.0.1 (127.0.0.1")
    assert outcome.at is not None

    with pytest.raises(Conflict, match=r"and accepted by 127.0.0.1 \(.*\) at 20\d\d-"):
        await office.ask(invoices.send, order, None, Via.API, office.clock())
    assert len(sink.accepted) == 1


async def test_an_invoice_that_may_have_arrived_is_never_sent_again_by_itself(office, sink):
    sink.hooks = {"content": lambda _: LOST}
    await office.connect(sink)
    order = Order("2026-119", parse_named("ann@example.net", "to"), PDF)
    sent = await office.ask(invoices.send, order, None, Via.API, office.clock())
    async with office.courier():
        (delivery,) = (await office.until(sent.message, "in_doubt")).values()
        office.clock.advance(days=30)
        await asyncio.sleep(0.5)
    assert (delivery.doubt_reason, delivery.next_attempt_at) == ("connection_lost", None)
    assert (sink.sessions, (await office.delivery(sent.message)).state) == (1, "in_doubt")
    with pytest.raises(Conflict, match="it is in_doubt"):
        await office.ask(invoices.send, order, None, Via.API, office.clock())
