"""A dialogue with a server that is over, as far as its diagnosis needs to know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Trouble
from vaguemestre.mail.secret import Shape
from vaguemestre.mail.validity import Validity


class LoginForm(StrEnum):
    """What the server's provider wants as login, where it is known."""

    ADDRESS = "address"
    OTHER = "other"  # a name of its own, or what stands before the @
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Offered:
    """What the server announced, after TLS where there is TLS.

    Attributes:
        size: octets of content it takes; None where it does not say.
        eight_bit: whether 8BITMIME is offered.
        smtputf8: whether SMTPUTF8 is offered.
        mechanisms: of AUTH.
    """

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    mechanisms: tuple[str, ...] = ()


@dataclass(frozen=True)
class DialogueFacts:
    """A dialogue that was tried, and how it ended.

    Attributes:
        trouble: what ended it; None if nothing went wrong.
        host: as typed and canonical.
        port: 1 to 65535.
        encryption: as chosen.
        sender: the connection's.
        now: aware.
        login: "" for none.
        has_secret: whether there was a password or token to sign in with.
        secret_shape: the form of a password, which tells nothing of it.
        offered: None if the dialogue did not get so far.
        validity: of the server's certificate; None without TLS.
        tls_issuer: who issued it; "" without TLS.
        seen_address: where the server saw us come from; "" if it did not say.
        well_known: whether the host is a provider's, whose certificate every system can check.
        login_form: what that provider wants as login.
        silent_address: one of the server's other address family, that did not answer.
    """

    trouble: Trouble | None
    host: str
    port: int
    encryption: Encryption
    sender: Mailbox
    now: datetime
    login: str = ""
    has_secret: bool = False
    secret_shape: Shape = Shape.ORDINARY
    offered: Offered | None = None
    validity: Validity | None = None
    silent_address: str | None = None
    tls_issuer: str = ""
    seen_address: str = ""
    well_known: bool = False
    login_form: LoginForm = LoginForm.UNKNOWN
