"""Invoices over HTTP: send one, at most once; and what became of a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import limited_to, submitter
from vaguemestre.doors.api.body import posted_message
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, position
from vaguemestre.doors.api.reading import Reading, mailbox, mailboxes, mapping, octets, text
from vaguemestre.ledger import invoices
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.invoices import Order
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox

router = Router(tags=["Invoices"])
READERS = ("send", "read")
FIELDS = frozenset(
    "number to pdf filename amount currency due data template language stream connection from"  # noqa: SIM905
    " reply_to on_doubt again".split()
)


@endpoint(
    router.post,
    "/invoices",
    "sendInvoice",
    scopes=("send",),
    takes="NewInvoice",
    gives="Invoice",
    status=202,
)
def send_invoice(request: HttpRequest) -> Answer:
    """Send a PDF under its number, at most once.

    The same number to the same recipient is a 409 with the id of the message that took it; `again` with that
    id sends it once more, once however often it is asked for.
    """
    order = _order(posted_message(request))
    sent = invoices.send(order, submitter(request), Via.API, timezone.now())
    return Answer(invoices.resource(sent), 202)


@endpoint(router.get, "/invoices", "listInvoices", scopes=READERS, gives="Invoices")
def list_invoices(
    request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "", search: str = ""
) -> Answer:
    """Invoices, the latest first; `search` in number and recipient."""
    start = position(cursor) or None
    found = invoices.latest(search[:200], limit + 1, start, limited_to(request))
    behind = str(found[limit - 1].pk) if len(found) > limit else None
    return Answer({"items": [invoices.resource(one) for one in found[:limit]], "next": behind})


@endpoint(router.get, "/invoices/{path:number}", "getInvoice", scopes=READERS, gives="InvoiceAnswer")
def get_invoice(request: HttpRequest, number: str) -> Answer:
    """Whether a number was accepted, when, by which server, with which reply; for each time it was sent."""
    found = invoices.find(number, limited_to(request))
    return Answer({"number": found[0].number, "items": [invoices.resource(one) for one in found]})


def _order(values: dict[str, Any]) -> Order:
    reading = Reading(values)
    unknown = [name for name in values if name not in FIELDS]
    reading.faults += [Invalid(name, "unknown_field", f"An invoice has no field {name}.") for name in unknown]
    reading.faults += [
        Invalid(name, "missing", "This is needed.")
        for name in ("number", "to", "pdf")
        if not values.get(name)
    ]
    to = reading.read("to", mailbox, None)
    data: Mapping[str, object] = reading.read("data", mapping, {})
    reply_to: tuple[NamedMailbox, ...] = reading.read("reply_to", mailboxes, ())
    order_values: dict[str, Any] = {
        "number": reading.read("number", text, ""),
        "pdf": reading.read("pdf", octets, b""),
        "filename": reading.read("filename", text, ""),
        "amount": reading.read("amount", invoices.amount, ""),
        "currency": reading.read("currency", text, ""),
        "due": reading.read("due", invoices.day, None),
        "template": reading.read("template", text, "") or "invoice",
        "language": reading.read("language", text, ""),
        "stream": reading.read("stream", text, "") or "invoices",
        "connection": reading.read("connection", text, ""),
        "from_": reading.read("from", mailbox, None),
        "on_doubt": reading.read("on_doubt", text, ""),
        "again": reading.read("again", text, ""),
    }
    if reading.faults or to is None:
        raise Refusal(*reading.faults)
    return Order(to=to, data=data, reply_to=reply_to, **order_values)
