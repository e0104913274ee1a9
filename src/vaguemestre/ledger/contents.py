"""A message's content: stored as it came, rendered as it leaves.

Rendering depends only on the message and its route, so that a retry is byte-identical (L6): the trace field
carries the time of acceptance, Date and Message-ID are added the same way each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from vaguemestre.ledger.accept import Via, named
from vaguemestre.ledger.models import Chunk, Message
from vaguemestre.mail.content import Content, Rendering, render

_PROTOCOLS = {
    Via.SMTP.value: "ESMTPA",
    Via.API.value: "HTTP",
    Via.CLI.value: "LOCAL",
    Via.CONSOLE.value: "HTTP",
}


class ContentGone(Exception):
    """The content was removed at the end of its retention."""


def content_of(message: Message) -> Content:
    """The content as accepted.

    Raises:
        ContentGone: retention removed it.
    """
    chunks = Chunk.objects.filter(message=message).order_by("position").values_list("data", flat=True)
    raw = b"".join(bytes(chunk) for chunk in chunks)
    if len(raw) != message.size:
        raise ContentGone
    return Content(raw)


def message_id(message: Message, route: Mapping[str, Any] | None) -> str:
    """The Message-ID that leaves by a route: as given, or made in the domain that recipients see in From."""
    if message.message_id:
        return message.message_id
    sender = (route and named(route["sender"])) or named(message.header_from)
    return f"<{message.uid.hex}@{sender.mailbox.domain_ascii if sender else message.received_by}>"


def rendered(message_key: int, route: dict[str, Any]) -> bytes:
    """The bytes by which the message of that primary key leaves by a route (as `Delivery.route` keeps it)."""
    message = Message.objects.get(pk=message_key)
    rendering = Rendering(
        sender=named(route["sender"]),
        reply_to=route["reply_to"],
        received=_received(message),
        message_id=message_id(message, route),
        date=_date(message.accepted_at),
    )
    return render(content_of(message), rendering)


def _received(message: Message) -> str:
    """RFC 5321 §4.4: by whom, how, under which name, when. Not from whom: that is internal."""
    protocol, at = _PROTOCOLS[message.via], _date(message.accepted_at)
    return f"by {message.received_by} (Vaguemestre) with {protocol} id {message.uid.hex}; {at}"


def _date(at: datetime) -> str:
    return format_datetime(at.replace(microsecond=0))
