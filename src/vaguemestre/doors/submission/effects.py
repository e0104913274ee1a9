"""What a dialogue asks of its session: write (these are plain bytes), sign in, record, start TLS, close.

The dialogue decides and does nothing; the session does and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.headers import Wishes
from vaguemestre.doors.submission.paths import Mail, Rcpt
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.parcels import Parcel, Piece
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.value import value
from vaguemestre.policy.routing import is_allowed


@dataclass(frozen=True)
class Submitter:
    """Who submits.

    Attributes:
        key: None for a peer of a trusted network.
        stream: named by the user name, or None.
        peer: the address by which one without a key is known; "" with one.
    """

    key: ApiKey | None = None
    stream: str | None = None
    peer: str = ""

    def may_send_as(self, sender: Mailbox | None) -> bool:
        """Whether the key allows that reverse-path; the null one is everybody's (RFC 5321 §4.5.5)."""
        if self.key is None or not self.key.senders or sender is None:
            return True
        return is_allowed(sender, self.key.senders)

    @cached_property
    def owner(self) -> str:
        """Whose idempotency keys these are; apart from the API's, whose answers have another form."""
        return f"smtp:{self.peer if self.key is None else self.key.uid}"


@value
class Handover:
    """A transaction whose end of data was seen, and whose content is a message.

    To be recorded in the ledger; answer with `Dialogue.recorded`.

    Attributes:
        mail, rcpts: what was said, each recipient once.
        content: dots undone; its header section alone where the rest is in a parcel.
        wishes: what its header asks for.
        parcel: of a large content.
    """

    submitter: Submitter
    mail: Mail
    rcpts: tuple[Rcpt, ...]
    content: Content = field(repr=False)
    wishes: Wishes = field(repr=False)
    parcel: Parcel | None = None

    @property
    def envelope(self) -> Envelope:
        """Reverse-path and recipients."""
        return Envelope(self.mail.reverse_path, tuple([rcpt.recipient for rcpt in self.rcpts]))

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.content.raw) if self.parcel is None else self.parcel.size


@dataclass(frozen=True)
class Authenticate:
    """Ask the ledger; answer with `Dialogue.signed_in` or `Dialogue.sign_in_refused`."""

    credentials: Credentials


@dataclass(frozen=True)
class Store:
    """Store a piece of a large content; answer with `Dialogue.stored`."""

    piece: Piece


@dataclass(frozen=True)
class Drop:
    """Forget the pieces of a content that becomes no message."""

    parcel: int


@dataclass(frozen=True)
class Declined:
    """A content was refused before the ledger was asked: for the log."""

    submitter: Submitter
    reply: Answer
    recipients: int
    size: int


@dataclass(frozen=True)
class StartTls:
    """Send what is to be sent, then negotiate TLS; answer with `Dialogue.secured`."""


@dataclass(frozen=True)
class Close:
    """Send what is to be sent, then close."""


type Effect = bytes | Authenticate | Store | Drop | Handover | Declined | StartTls | Close
