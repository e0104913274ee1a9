"""A test message goes through the four rooms like any other, and names nothing internal."""

from __future__ import annotations

import pytest

from vaguemestre.ledger import trial_message
from vaguemestre.ledger.submission import Via
from vaguemestre.mail.mailbox import Mailbox

pytestmark = pytest.mark.any_database

ME = Mailbox.parse("me@example.net")


async def test_a_test_message_is_accepted_by_the_server(office, sink):
    connection = await office.connect(sink, name="Internal name")
    message = await office.ask(trial_message.send, connection, ME, Via.API, office.clock())
    async with office.courier():
        await office.until(message, "accepted")
    (taken,) = sink.accepted
    assert (taken.mail, taken.recipients) == ("office@example.org", ("me@example.net",))
    assert b"Internal name" not in taken.content


async def test_one_that_waits_for_over_an_hour_is_given_up(office, sink):
    connection = await office.connect(sink, active=False)
    message = await office.ask(trial_message.send, connection, ME, Via.API, office.clock())
    assert (await office.delivery(message)).state == "held"
    office.clock.advance(minutes=61)
    async with office.courier():
        await office.until(message, "expired")
    assert sink.accepted == []
