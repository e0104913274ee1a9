"""Who wants no more of a stream: written by the link in a message, asked at acceptance.

What comes later for such an address in that stream is refused at once, and says so; other streams go on, and
so does what was accepted before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from vaguemestre.ledger.additions import delivery_of
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Delivery, OptOut, Stream
from vaguemestre.mail.mailbox import Mailbox

CODE = "unsubscribed"  # the reason of such a refusal
LISTED = 10_000  # of those who unsubscribed from a stream


@dataclass(frozen=True)
class Subscription:
    """What a link is about: an address, and the stream that it receives."""

    stream: Stream
    address: str


def subscription(token: str) -> Subscription | None:
    """What a link is about; None where it is none of ours, or its stream is gone."""
    delivery = delivery_of(token)
    if delivery is None:
        return None
    found = Delivery.objects.filter(pk=delivery).select_related("message__stream").first()
    if found is None or found.message.stream is None:
        return None
    return Subscription(found.message.stream, Mailbox.parse(found.recipient).key)


def unsubscribe(wanted: Subscription, now: datetime) -> OptOut:
    """Send that address no more of the stream. Twice is once."""
    with writing():
        return OptOut.objects.get_or_create(
            stream=wanted.stream, address=wanted.address, defaults={"at": now}
        )[0]


def has_unsubscribed(wanted: Subscription) -> bool:
    """Whether that address gets no more of the stream."""
    return OptOut.objects.filter(stream=wanted.stream, address=wanted.address).exists()


def subscribe_again(stream: Stream, address: str) -> bool:
    """Take it back, at the recipient's wish; the answer is whether there was anything to take back."""
    with writing():
        return bool(OptOut.objects.filter(stream=stream, address=address).delete()[0])


def of_stream(stream: Stream, limit: int) -> list[OptOut]:
    """Who unsubscribed from it, the latest first."""
    return list(OptOut.objects.filter(stream=stream).order_by("-at", "-pk")[:limit])


def spared(stream_id: int, recipients: Collection[Mailbox]) -> Collection[str]:
    """Of the recipients those that unsubscribed, in their wire form, however each is written."""
    keys = {recipient.key for recipient in recipients}
    found = OptOut.objects.filter(stream_id=stream_id, address__in=keys).values_list("address", flat=True)
    gone = frozenset(found)
    return frozenset(recipient.wire for recipient in recipients if recipient.key in gone)
