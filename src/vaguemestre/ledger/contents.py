"""A message's content: stored as it came, rendered as it leaves.

Rendering depends only on the message and its route, so that a retry is byte-identical (L6): the trace field
carries the time of acceptance, Date and Message-ID are added the same way each time.
"""

from __future__ import annotations

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


def rendered(message_id: int, route: dict[str, Any]) -> bytes:
    """The bytes that leave by a route (as `Delivery.route` keeps it)."""
    message = Message.objects.get(pk=message_id)
    rendering = Rendering(
        sender=named(route["sender"]),
        reply_to=route["reply_to"],
        received=_received(message),
        message_id=message.message_id,
        date=_date(message.accepted_at),
    )
    return render(content_of(message), rendering)


def _received(message: Message) -> str:
    """RFC 5321 §4.4: by whom, how, under which name, when. Not from whom: that is internal."""
    protocol, at = _PROTOCOLS[message.via], _date(message.accepted_at)
    return f"by {message.received_by} (Vaguemestre) with {protocol} id {message.uid.hex}; {at}"


def _date(at: datetime) -> str:
    return format_datetime(at.replace(microsecond=0))
