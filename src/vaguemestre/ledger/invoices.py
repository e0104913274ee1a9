"""Invoices: a PDF to one recipient, under its number, at most once; and what became of it.

The same number goes to the same recipient again only where that is asked for, by naming the message that is
repeated: two programs, a person who presses twice, or a client that tries again must not bill twice, and the
same repetition asked for twice is one. The register and the message are one transaction. Where the dialogue
breaks after the end of the message, a person decides (`on_doubt` is `hold`, whatever the stream says) unless
the order itself says otherwise. The PDF travels byte for byte.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Max, Q, QuerySet

from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.ledger.database import lock, storable, writing
from vaguemestre.ledger.letters import Letter, write
from vaguemestre.ledger.models import ApiKey, Attempt, Delivery, Invoice
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, OnDoubt

NUMBER_LIMIT = 64
SEARCHED = 10_000  # of the latest, for a part of a number or recipient
REGISTER_LOCK = 0x5667_0006  # advisory: two orders of one number are one after the other
_AMOUNT = re.compile(r"-?\d{1,15}(?:\.\d{1,4})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Order:
    """An invoice to be sent.

    Attributes:
        amount: such as 1234.50; "" for none.
        due: by when it is to be paid.
        data: what else the template may show.
        on_doubt: "" holds it.
        again: the id of the message that took it to this recipient before, and is repeated; "" for none.
    """

    number: str
    to: NamedMailbox
    pdf: bytes = field(repr=False)
    filename: str = ""
    amount: str = ""
    currency: str = ""
    due: date | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    template: str = "invoice"
    language: str = ""
    stream: str = "invoices"
    connection: str = ""
    from_: NamedMailbox | None = None
    reply_to: tuple[NamedMailbox, ...] = ()
    on_doubt: str = ""
    again: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of an invoice.

    Attributes:
        state: of its delivery.
        at: when that came to be.
        connection: the name of the connection that carried it.
        server: whom it was handed to, with the address where an attempt tells it; "" before.
        reply: the server's own words; None before it said any.
    """

    state: DeliveryState
    at: datetime | None
    connection: str
    server: str
    reply: Reply | None

    @property
    def accepted(self) -> bool:
        """Whether a server took it over."""
        return self.state is DeliveryState.ACCEPTED


def send(order: Order, submitter: ApiKey | None, via: Via, now: datetime) -> Invoice:
    """Take an invoice over; when this returns it is committed.

    Where `again` names a message that was repeated already, with this PDF, that repetition is the answer.

    Raises:
        Refusal: the faults, each at its field.
        Conflict: it went to this recipient before (`invoice_sent`), and when.
    """
    _refuse(order)
    submission = _submission(order, submitter, via)
    number_key, recipient_key = key_of(order.number), order.to.mailbox.wire.casefold()
    with writing():
        lock(REGISTER_LOCK)
        before = list(_of(number_key, recipient_key))
        sha256 = hashlib.sha256(order.pdf).hexdigest()
        repeated = _repeated(order, before, sha256)
        return repeated or Invoice.objects.create(
            number=order.number, number_key=number_key, recipient=order.to.mailbox.wire,
            recipient_key=recipient_key, again=len(before), message=accept(submission, now),
            amount=order.amount, currency=order.currency, due=order.due, sha256=sha256,
        )  # fmt: skip


def _repeated(order: Order, before: Sequence[Invoice], sha256: str) -> Invoice | None:
    """The repetition that was made already, if this asks for it once more; None where one is to be made."""
    known = {str(one.message.uid): position for position, one in enumerate(before, 1)}
    if not order.again:
        if before:
            raise _sent(before[-1])
        return None
    if order.again.lower() not in known:
        message = "That message did not take this number to this recipient. The id is in the refusal (409)."
        raise Refusal(Invalid("again", "invoice_again", message))
    made = before[known[order.again.lower()] :]
    if made and made[0].sha256 != sha256:
        raise _sent(before[-1])
    return made[0] if made else None


def find(number: str, submitter: ApiKey | None = None) -> list[Invoice]:
    """All that went under a number, the first first; of one submitter, or of all.

    Raises:
        Missing: none did.
    """
    asked = _listed(submitter).filter(number_key=key_of(number)).order_by("pk")
    found = list(asked) if storable(number) else []
    if not found:
        raise Missing("invoice", number)
    return found


def latest(
    text: str = "", limit: int = 50, before: int | None = None, submitter: ApiKey | None = None
) -> list[Invoice]:
    """The latest first. A text is a whole number or recipient; of the latest 10,000 also a part of one."""
    found = _listed(submitter).order_by("-pk")
    if before is not None:
        found = found.filter(pk__lt=before)
    if not text or not storable(text):
        return list(found[:limit])
    matches = {one.pk: one for query in _matching(found, text) for one in query[:limit]}
    return [matches[key] for key in sorted(matches, reverse=True)[:limit]]


def _matching(found: QuerySet[Invoice], text: str) -> Iterator[QuerySet[Invoice]]:
    """Each along an index, or of few rows: no search reads the whole register."""
    number, recipient = key_of(text), text.strip().casefold()
    yield found.filter(number_key=number)
    yield found.filter(recipient_key=recipient)
    newest = Invoice.objects.aggregate(Max("pk"))["pk__max"] or 0
    part = Q(number_key__contains=number) | Q(recipient_key__contains=recipient)
    yield found.filter(part, pk__gt=newest - SEARCHED)


def outcome_of(invoice: Invoice) -> Outcome:
    """What became of it."""
    delivery = Delivery.objects.select_related("connection").get(message=invoice.message)
    tried = Attempt.objects.filter(uid=delivery.attempt).first() if delivery.attempt else None
    connection = delivery.connection
    said = None if delivery.last_code is None else Reply(delivery.last_code, delivery.last_text)
    reached = tried is not None or delivery.state == DeliveryState.ACCEPTED
    host = connection.host if connection is not None and reached else ""
    return Outcome(
        state=DeliveryState(delivery.state),
        at=delivery.settled_at,
        connection="" if connection is None else connection.name,
        server=" ".join(filter(None, (host, f"({tried.peer})" if tried is not None and tried.peer else ""))),
        reply=said,
    )


def key_of(number: str) -> str:
    """By which two numbers are the same."""
    return unicodedata.normalize("NFKC", number).casefold().strip()


def amount(text: object, name: str = "amount") -> str:
    """An amount, as it is written; "" for none.

    Raises:
        Invalid: code `amount_syntax`.
    """
    if text is None or text == "":
        return ""
    written = "" if isinstance(text, bool) else str(text)
    if _AMOUNT.fullmatch(written):
        return written
    raise Invalid(name, "amount_syntax", "Write the amount like 1234.50.")


def day(text: object, name: str = "due") -> date | None:
    """A day; None for none.

    Raises:
        Invalid: code `day_syntax`.
    """
    if text is None or text == "":
        return None
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise Invalid(name, "day_syntax", "Write the day like 2026-12-31.") from None


def _listed(submitter: ApiKey | None = None) -> QuerySet[Invoice]:
    found = Invoice.objects.select_related("message")
    return found if submitter is None else found.filter(message__submitter=submitter)


def _of(number_key: str, recipient_key: str) -> QuerySet[Invoice]:
    return _listed().filter(number_key=number_key, recipient_key=recipient_key).order_by("again")


def _submission(order: Order, submitter: ApiKey | None, via: Via) -> Submission:
    letter = Letter(order.template, _data(order), order.language, order.stream)
    name = order.filename or f"{_UNSAFE.sub('-', order.number).strip('-.') or 'invoice'}.pdf"
    post = Post(
        to=(order.to,),
        from_=order.from_,
        reply_to=order.reply_to,
        attachments=(Attachment(name, order.pdf, "application/pdf"),),
    )
    try:
        envelope, content = compose(write(post, letter))
    except Invalid as fault:
        raise Refusal(fault.at("filename") if "attachments" in fault.field else fault) from None
    return Submission(
        envelope, content, via, submitter, order.stream, order.connection or None,
        on_doubt=order.on_doubt or OnDoubt.HOLD.value,
    )  # fmt: skip


def _data(order: Order) -> dict[str, object]:
    """What the template may show: what was given, and the invoice's own facts."""
    facts = {
        "number": order.number,
        "amount": order.amount,
        "currency": order.currency,
        "due": order.due.isoformat() if order.due else "",
    }
    named = {"name": order.to.name} if order.to.name else {}
    return {**named, **order.data, **{name: fact for name, fact in facts.items() if fact}}


def _refuse(order: Order) -> None:
    faults = []
    number = order.number
    if not number or number != number.strip() or len(number) > NUMBER_LIMIT or not number.isprintable():
        message = f"An invoice has a number, of at most {NUMBER_LIMIT} characters."
        faults.append(Invalid("number", "invoice_number", message))
    if not order.pdf.startswith(b"%PDF-"):
        faults.append(Invalid("pdf", "not_pdf", "This is not a PDF."))
    if order.amount and not _CURRENCY.fullmatch(order.currency):
        faults.append(Invalid("currency", "currency", "An amount needs its currency, such as EUR."))
    if faults:
        raise Refusal(*faults)


def _sent(before: Invoice) -> Conflict:
    outcome, taken = outcome_of(before), before.message.accepted_at
    by = f" and accepted by {outcome.server}" if outcome.accepted else f"; it is {outcome.state}"
    when = f" at {outcome.at:%Y-%m-%d %H:%M} UTC" if outcome.accepted and outcome.at else ""
    message = (
        f"Invoice {before.number} was taken for {before.recipient} at {taken:%Y-%m-%d %H:%M} UTC{by}{when}."
        f" To send it once more, name that message: again {before.message.uid}."
    )
    facts = {
        "number": before.number,
        "recipient": before.recipient,
        "message": str(before.message.uid),
        "state": outcome.state.value,
        "taken_at": taken.isoformat(),
        "accepted_at": outcome.at.isoformat() if outcome.accepted and outcome.at else None,
    }
    return Conflict("invoice_sent", message, facts)


def resource(invoice: Invoice) -> dict[str, Any]:
    """An invoice as the API and the command line show it."""
    outcome = outcome_of(invoice)
    return {
        "number": invoice.number,
        "recipient": invoice.recipient,
        "again": invoice.again,
        "amount": invoice.amount,
        "currency": invoice.currency,
        "due": invoice.due,
        "message": str(invoice.message.uid),
        "taken_at": invoice.message.accepted_at,
        "state": outcome.state.value,
        "accepted": outcome.accepted,
        "at": outcome.at,
        "connection": outcome.connection or None,
        "server": outcome.server or None,
        "reply": None if outcome.reply is None else outcome.reply.as_json,
        "sha256": invoice.sha256,
    }
