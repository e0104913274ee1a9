"""Where in a session something happened, and what happened there.

RFC 5321 §3 gives the order of a session; `Phase` follows it. `Trouble` is the whole vocabulary of failure
between us and the next hop: `policy.verdict` judges it for a delivery, `policy.diagnosis` explains it to a
person. A reply in a `Trouble` is always what the server said, never invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vaguemestre.mail.reply import Reply


class Phase(StrEnum):
    """A step of a session or of a transaction in it, in the order they happen."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"  # implicit TLS, before the greeting (RFC 8314 §3)
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"  # the command and the handshake behind it (RFC 3207)
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # the command, up to its 354
    CONTENT = "content"  # the bytes of the content, and the reply to their end
    RSET = "rset"
    QUIT = "quit"


class Cause(StrEnum):
    """What happened, apart from what the server said."""

    REPLY = "reply"  # the server answered, and not what was asked for
    LOST = "lost"  # the other side closed or reset
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # a reply that breaks RFC 5321 §4.2
    UNDUE = "undue"  # bytes arrived before they were due
    HOST_UNKNOWN = "host_unknown"
    LOOKUP_FAILED = "lookup_failed"
    NOT_PERMITTED = "not_permitted"  # our own guard (L10); nothing was dialled
    CONNECTION_REFUSED = "connection_refused"
    UNREACHABLE = "unreachable"
    SOURCE_ADDRESS = "source_address"  # this machine cannot dial that server from the address that is set
    NOT_SMTP = "not_smtp"  # the greeting is another protocol's
    TLS_FAILED = "tls_failed"  # a handshake that failed otherwise than below
    TLS_NOT_SPOKEN = "tls_not_spoken"  # the answer to a handshake was not TLS
    TLS_EXPECTED = "tls_expected"  # a plain dialogue was tried on a port that wants TLS at once
    TLS_TOO_OLD = "tls_too_old"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_NAME = "certificate_name"
    CERTIFICATE_AUTHORITY = "certificate_authority"  # signed by an authority we do not know
    CERTIFICATE_SELF_SIGNED = "certificate_self_signed"
    CERTIFICATE_OTHER = "certificate_other"
    NOT_OFFERED = "not_offered"  # STARTTLS or AUTH was needed and is not announced
    NO_MECHANISM = "no_mechanism"  # AUTH is announced without a mechanism that we speak
    NO_TOKEN = "no_token"  # noqa: S105  OAuth 2.0: the provider gives no access token
    SMTPUTF8_NOT_OFFERED = "smtputf8_not_offered"
    BDAT_REFUSED = "bdat_refused"  # the server announces CHUNKING and does not take BDAT (RFC 3030)
    BARE_LINE_ENDING = "bare_line_ending"  # a bare CR or LF in the content; its end was not sent
    TOO_LARGE = "too_large"  # more than the announced SIZE (RFC 1870 §6.1); nothing was sent
    DIED = "died"  # the courier that held it is gone
    STALE = "stale"  # the ledger refused the stage; the dot was not sent


@dataclass(frozen=True)
class Trouble:
    """Something went wrong at `phase`.

    Attributes:
        phase: where.
        cause: what; `Cause.REPLY` exactly when the server's answer is the fault.
        reply: the server's answer, where there was one.
        facts: for people, text to text: `host`, `port`, `addresses`, `issuer`, `names`, `expired_at` (ISO),
            `offered`, `speaks` (what is no SMTP server: web, ssh, imap or pop). Made safe; never a secret.
    """

    phase: Phase
    cause: Cause
    reply: Reply | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.cause is Cause.REPLY) and self.reply is None:
            raise ValueError("a trouble caused by a reply has one")
