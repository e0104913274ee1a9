"""What a dialogue asks of its session: write, sign in, record, start TLS, close.

The dialogue decides and does nothing; the session does and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.ledger.models import ApiKey
from vaguemestre.mail.mailbox import Mailbox


@dataclass(frozen=True)
class Submitter:
    """Who submits.

    Attributes:
        key: None for a peer of a trusted network.
        stream: named by the user name, or None.
    """

    key: ApiKey | None = None
    stream: str | None = None


@dataclass(frozen=True)
class Handover:
    """A transaction whose end of data was seen: what is to be recorded.

    Attributes:
        reverse_path: None is the null reverse-path.
        recipients: in the order of RCPT, some perhaps twice.
        raw: the content, dots undone.
        utf8: whether MAIL had SMTPUTF8.
    """

    submitter: Submitter
    reverse_path: Mailbox | None
    recipients: tuple[Mailbox, ...]
    raw: bytes = field(repr=False)
    utf8: bool = False


@dataclass(frozen=True)
class Write:
    """Send these bytes."""

    data: bytes


@dataclass(frozen=True)
class Authenticate:
    """Ask the ledger; answer with `Dialogue.signed_in` or `Dialogue.sign_in_refused`."""

    credentials: Credentials


@dataclass(frozen=True)
class Record:
    """Hand over to the ledger; answer with `Dialogue.recorded`."""

    handover: Handover


@dataclass(frozen=True)
class StartTls:
    """Send what is to be sent, then negotiate TLS; answer with `Dialogue.secured`."""


@dataclass(frozen=True)
class Close:
    """Send what is to be sent, then close."""


type Effect = Write | Authenticate | Record | StartTls | Close
