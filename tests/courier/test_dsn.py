"""What a server refuses comes back to whoever the message came from, by the same courier."""

from __future__ import annotations

import email
import re

import pytest

from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import keys, messages
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.ledger.models import Delivery, Message
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.schedule import HOUR, RetrySchedule

RAW = b"From: app@example.net\r\nSubject: Facture 17\r\n\r\nGood day\r\n"
NO = "550 5.1.1 No such user"


def answer(moment):
    if "nobody" in moment.argument:
        return Answer(NO)
    return Answer("450 4.2.1 busy") if "busy" in moment.argument else None


def refusing():
    return SinkServer(hooks={"rcpt": answer})


async def hand_over(office, *recipients, reverse_path="app@example.net", via=Via.SMTP, notify="", **values):
    """A message as the listener hands it over."""

    def take():
        path = None if reverse_path is None else Mailbox.parse(reverse_path)
        to = recipients or ("nobody@example.com",)
        envelope = Envelope(path, tuple(map(Mailbox.parse, to)))
        asked = Submission(envelope, Content(RAW), via, notify=dict.fromkeys(to, notify), **values)
        return accept(asked, office.clock())

    return await office.ask(take)


async def the_report(office, sink):
    """The one that the server got."""
    await office.until_true(lambda: Delivery.objects.filter(message__via="report", state="accepted").exists())
    (taken,) = [one for one in sink.accepted if b"delivery-status" in one.content]
    return taken


def told(taken):
    return [
        {name: re.sub(r"\r?\n(?=[ \t])", "", value) for name, value in block.items()}
        for block in email.message_from_bytes(taken.content).get_payload(1).get_payload()
        if block.items()
    ][1:]


async def test_a_refusal_comes_back_with_the_server_s_words(office):
    async with refusing() as sink:
        await office.connect(sink)
        message = await hand_over(office, "nobody@example.com", "ann@example.com")
        async with office.courier():
            await office.until(message, "accepted", "refused")
            taken = await the_report(office, sink)
    assert (taken.mail, taken.recipients) == ("", ("app@example.net",))
    parsed = email.message_from_bytes(taken.content)
    assert (parsed["From"], parsed["To"]) == ("office@example.org", "app@example.net")
    assert parsed["Message-ID"]
    assert parsed["Date"]
    assert [(one["Final-Recipient"], one["Diagnostic-Code"]) for one in told(taken)] == [
        ("rfc822; nobody@example.com", f"smtp; {NO}")
    ]
    assert sink.faults == []


async def test_what_the_retries_did_not_get_through_comes_back(office):
    async with refusing() as sink:
        await office.connect(sink)
        message = await hand_over(office, "busy@example.com")
        await office.ask(lambda: Delivery.objects.update(retry_age=0))
        async with office.courier():
            await office.until(message, "expired")
            taken = await the_report(office, sink)
    assert [(one["Action"], one["Status"], one["Diagnostic-Code"]) for one in told(taken)] == [
        ("failed", "4.2.1", "smtp; 450 4.2.1 busy")
    ]


async def test_notify_success_tells_that_the_next_server_took_it(office):
    async with refusing() as sink:
        await office.connect(sink)
        await hand_over(office, "ann@example.com", notify="SUCCESS")
        async with office.courier():
            taken = await the_report(office, sink)
    assert [(one["Action"], one["Final-Recipient"]) for one in told(taken)] == [
        ("relayed", "rfc822; ann@example.com")
    ]


async def test_what_is_late_is_told_once_and_comes_back_as_delayed_to_who_asked(office):
    """By the courier that runs then: an earlier one tried it, a later one tells nothing again."""
    office.schedule = RetrySchedule(delays=(5 * HOUR,), jitter=0.0)
    async with refusing() as sink:
        await office.connect(sink)
        message = await hand_over(office, "busy@example.com", notify="FAILURE,DELAY")
        async with office.courier():
            await office.until_true(lambda: Delivery.objects.filter(counted=1, state="queued").exists())
        office.clock.advance(hours=4, minutes=1)
        async with office.courier():
            taken = await the_report(office, sink)
        office.clock.advance(hours=1)
        async with office.courier():
            await office.until_true(lambda: Delivery.objects.filter(counted=2, state="queued").exists())
        events = await office.ask(
            lambda: [event.detail["code"] for event in messages.events_of(message_of(message))]
        )
    (late,) = told(taken)
    assert (late["Action"], late["Status"], late["Final-Recipient"]) == (
        "delayed",
        "4.2.1",
        "rfc822; busy@example.com",
    )
    assert (taken.mail, taken.recipients) == ("", ("app@example.net",))
    assert (events.count("delayed"), events.count("reported"), sink.faults) == (1, 1, [])


def message_of(accepted):
    return messages.find(str(accepted.uid))


def reported():
    """The ids of the messages that a report tells of."""
    return [
        found["reports_on"]
        for found in Message.objects.filter(via="report").values_list("metadata", flat=True)
    ]


async def reports(office, **values):
    """How many come of a refusal; a later one is reported by then."""
    async with refusing() as sink:
        await office.connect(sink)
        message = await hand_over(office, **values)
        async with office.courier():
            await office.until(message, "refused")
            later = await hand_over(office)
            await office.until(later, "refused")
            await office.until_true(lambda: str(later.uid) in reported())
    return (await office.ask(reported)).count(str(message.uid))


@pytest.mark.parametrize(
    "values",
    [{"reverse_path": None}, {"notify": "NEVER"}, {"via": Via.API}],
    ids=["null reverse-path", "NOTIFY=NEVER", "API"],
)
async def test_nobody_is_told(office, values):
    assert await reports(office, **values) == 0


async def test_a_key_that_wants_no_reports_gets_none(office):
    key, _ = await office.ask(keys.create, "ERP", ["send"], "test", office.clock(), dsn=False)
    assert await reports(office, submitter=key) == 0
    assert await office.ask(lambda: Delivery.objects.filter(dsn_due=True).count()) == 0


async def test_a_key_that_says_nothing_gets_them(office):
    key, _ = await office.ask(keys.create, "ERP", ["send"], "test", office.clock())
    assert await reports(office, submitter=key) == 1
