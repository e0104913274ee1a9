"""What a submitter hands over, and what it is told: values without a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from vaguemestre.ledger.models import ApiKey, Message
from vaguemestre.ledger.parcels import Parcel
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value

_NONE: Mapping[str, str] = MappingProxyType({})


class Via(StrEnum):
    """The door a message came through."""

    API = "api"
    SMTP = "smtp"
    CLI = "cli"
    CONSOLE = "console"
    FORM = "form"
    REPORT = "report"  # a notification of our own (`dsn`)


@value
class Submission:
    """What a submitter hands over.

    Attributes:
        content: all of it; with a `parcel`, the header section alone.
        submitter: the key it came with; None for people and trusted networks.
        stream: the stream's key.
        connection: public id or name of a connection asked for by name.
        send_at: not before.
        expires_at: not after, whatever the schedule says.
        on_doubt: "retry", "hold", or "" for the stream's.
        parcel: the content, where it is stored already.
        handover: SHA-256 of submitter, stream, envelope and content; the same again is the same message.
        ret: RFC 3461 §4.3: FULL, HDRS, or "".
        envid: RFC 3461 §4.4, as it was given.
        notify: RFC 3461 §4.1, by the recipient's wire form.
        orcpt: RFC 3461 §4.2, as it was given, by the recipient's wire form.
        resent_from: the message that this one repeats.
        resent_by: the key that asked for that; None for a person.
    """

    envelope: Envelope
    content: Content
    via: Via
    submitter: ApiKey | None = None
    stream: str | None = None
    connection: str | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = _NONE
    on_doubt: str = ""
    parcel: Parcel | None = None
    handover: bytes | None = None
    ret: str = ""
    envid: str = ""
    notify: Mapping[str, str] = _NONE
    orcpt: Mapping[str, str] = _NONE
    resent_from: Message | None = None
    resent_by: ApiKey | None = None

    @property
    def limited_by(self) -> ApiKey | None:
        """The key whose limits hold; None for none. What is repeated is held to who repeats it."""
        return self.submitter if self.resent_from is None else self.resent_by

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return len(self.content.raw) if self.parcel is None else self.parcel.size


@value
class Accepted:
    """A message is ours.

    Attributes:
        uid: its public id.
        state: the common one of its deliveries.
        connection: public id of the one that carries it; None where it is held.
        reason: of its route, or of its being held: {"code", "facts"}.
        recipients: their wire forms, in order.
        spared: of the recipients those to whom it is refused, since they unsubscribed.
        repeated: it was ours before: the same had been handed over a moment ago, and nothing was stored now.
    """

    uid: str
    state: str
    connection: str | None
    reason: Mapping[str, Any]
    recipients: tuple[str, ...]
    spared: Collection[str] = ()
    repeated: bool = False

    def state_of(self, recipient: str) -> str:
        """Of the delivery to one of them."""
        return DeliveryState.REFUSED.value if recipient in self.spared else self.state
