"""What a dialogue with a server means for the person who set it up.

`diagnose` promises at least one finding for every dialogue, the decisive one first: what went wrong if
something did, else `ok`; behind it what works today and may not tomorrow. A dialogue has one trouble at most,
for it ends there. An answer to RSET or QUIT decides nothing: all that matters was said before.

For an address that our own guard refuses the finding is always the same, with nothing in it but what was
typed (L10). What answered in place of an SMTP server is never repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording
from vaguemestre.policy.finding import Finding, FindingCode, Severity, Who
from vaguemestre.policy.wording import Access

__all__ = ["DialogueFacts", "Finding", "FindingCode", "Offered", "Severity", "Who", "diagnose"]

EXPIRES_SOON = timedelta(days=21)
SMALL_SIZE = 10 * 1024 * 1024  # octets; an ordinary attachment
STARTTLS_PORTS = frozenset({25, 587, 2525, 2587})

_AFTER = frozenset({Phase.RSET, Phase.QUIT})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})


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
        offered: None if the dialogue did not get so far.
        tls_expires_at: the end of the server's certificate, aware; None without TLS.
    """

    trouble: Trouble | None
    host: str
    port: int
    encryption: Encryption
    sender: Mailbox
    now: datetime
    login: str = ""
    has_secret: bool = False
    offered: Offered | None = None
    tls_expires_at: datetime | None = None


def diagnose(facts: DialogueFacts) -> tuple[Finding, ...]:
    """The findings, the decisive one first."""
    error = _error(facts)
    decisive = error or Finding.of(FindingCode.OK, None, _target(facts))
    warnings = (
        _login_without_domain(facts, decisive.code),
        _expires_soon(facts),
        _no_credentials(facts),
        _small_size(facts),
        _no_eight_bit(facts),
    )
    return (decisive, *(warning for warning in warnings if warning is not None))


def _error(facts: DialogueFacts) -> Finding | None:
    trouble = facts.trouble
    if trouble is not None and trouble.phase not in _AFTER | {Phase.MAIL}:
        return _found(facts, trouble)
    # The sender's need is known before the server refuses it at MAIL, and says more than that refusal.
    if facts.sender.needs_smtputf8 and facts.offered is not None and not facts.offered.smtputf8:
        return Finding.of(FindingCode.SENDER_NEEDS_SMTPUTF8, Phase.MAIL, _target(facts))
    return None if trouble is None or trouble.phase in _AFTER else _found(facts, trouble)


def _found(facts: DialogueFacts, trouble: Trouble) -> Finding:
    if trouble.cause is Cause.REPLY and trouble.reply is not None:
        code = _by_reply(facts, trouble.phase, trouble.reply)
    else:
        code = _by_cause(facts, trouble)
    return Finding.of(code, trouble.phase, _told(facts, trouble, code))


def _target(facts: DialogueFacts) -> dict[str, str]:
    return {
        "host": facts.host,
        "port": str(facts.port),
        "encryption": facts.encryption.value,
        "login": facts.login,
        "sender": facts.sender.address,
    }


def _told(facts: DialogueFacts, trouble: Trouble, code: FindingCode) -> dict[str, str]:
    if code is FindingCode.ADDRESS_NOT_PERMITTED:
        return {"host": facts.host, "port": str(facts.port)}
    told = dict(trouble.facts) | _target(facts)
    if trouble.reply is not None and code is not FindingCode.NOT_SMTP:
        told |= {"code": str(trouble.reply.code), "said": trouble.reply.text}
    if trouble.reply is not None and trouble.reply.enhanced is not None:
        told["enhanced"] = str(trouble.reply.enhanced)
    return told | _suggestion(facts, code)


def _suggestion(facts: DialogueFacts, code: FindingCode) -> dict[str, str]:
    suggested = {
        FindingCode.SSL_ON_STARTTLS_PORT: Encryption.STARTTLS,
        FindingCode.STARTTLS_ON_SSL_PORT: Encryption.SSL,
        FindingCode.AUTH_NEEDS_TLS: Encryption.STARTTLS,
        FindingCode.ENCRYPTION_REQUIRED: Encryption.STARTTLS,
    }.get(code)
    if suggested is not None:
        return {"suggested_encryption": suggested.value, "suggested_port": str(suggested.usual_port)}
    blocked = code is FindingCode.NO_ANSWER and facts.port == 25  # many networks let nobody out on port 25
    return {"port_25": "yes", "suggested_port": "587"} if blocked else {}


_PLAIN = {
    Cause.HOST_UNKNOWN: FindingCode.HOST_UNKNOWN,
    Cause.LOOKUP_FAILED: FindingCode.LOOKUP_FAILED,
    Cause.CONNECTION_REFUSED: FindingCode.REFUSED,
    Cause.UNREACHABLE: FindingCode.NO_ANSWER,
    Cause.NOT_SMTP: FindingCode.NOT_SMTP,
    Cause.TLS_EXPECTED: FindingCode.STARTTLS_ON_SSL_PORT,
    Cause.TLS_FAILED: FindingCode.TLS_FAILED,
    Cause.TLS_TOO_OLD: FindingCode.TLS_TOO_OLD,
    Cause.CERTIFICATE_EXPIRED: FindingCode.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID: FindingCode.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_NAME: FindingCode.CERTIFICATE_WRONG_NAME,
    Cause.CERTIFICATE_AUTHORITY: FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY,
    Cause.CERTIFICATE_SELF_SIGNED: FindingCode.CERTIFICATE_SELF_SIGNED,
    Cause.NO_MECHANISM: FindingCode.NO_MECHANISM,
    Cause.TOO_LARGE: FindingCode.MESSAGE_TOO_LARGE,
    Cause.MALFORMED: FindingCode.PROTOCOL_BROKEN,
    Cause.UNDUE: FindingCode.PROTOCOL_BROKEN,
    Cause.DIED: FindingCode.INTERRUPTED,
    Cause.STALE: FindingCode.INTERRUPTED,
}
_TIMEOUT = {
    Phase.RESOLVE: FindingCode.LOOKUP_FAILED,
    Phase.CONNECT: FindingCode.NO_ANSWER,
    Phase.GREETING: FindingCode.SILENT,
}


def _by_cause(facts: DialogueFacts, trouble: Trouble) -> FindingCode:
    at_auth = trouble.phase is Phase.AUTH
    if trouble.cause in {Cause.LOST, Cause.TIMEOUT}:
        return _broken_off(facts, trouble)
    if trouble.cause is Cause.SMTPUTF8_NOT_OFFERED:
        return _beyond_ascii(facts)
    if trouble.cause is Cause.NOT_PERMITTED:
        return FindingCode.AUTH_NEEDS_TLS if at_auth else FindingCode.ADDRESS_NOT_PERMITTED
    if trouble.cause is Cause.NOT_OFFERED:
        return FindingCode.AUTH_NOT_OFFERED if at_auth else FindingCode.STARTTLS_NOT_OFFERED
    return _by_handshake(trouble) or _PLAIN.get(trouble.cause, FindingCode.PROTOCOL_BROKEN)


def _by_handshake(trouble: Trouble) -> FindingCode | None:
    if trouble.cause is Cause.TLS_NOT_SPOKEN:
        implicit = trouble.phase is Phase.TLS
        return FindingCode.SSL_ON_STARTTLS_PORT if implicit else FindingCode.TLS_FAILED
    if trouble.cause is Cause.CERTIFICATE_OTHER:
        pinned = "pinned" in trouble.facts
        return FindingCode.CERTIFICATE_CHANGED if pinned else FindingCode.CERTIFICATE_OTHER
    return None


def _broken_off(facts: DialogueFacts, trouble: Trouble) -> FindingCode:
    # A server that waits for our EHLO, or hangs up, when TLS is offered to it on a port that starts in clear.
    if trouble.phase is Phase.TLS and facts.port in STARTTLS_PORTS:
        return FindingCode.SSL_ON_STARTTLS_PORT
    if trouble.cause is Cause.LOST:
        return FindingCode.CONNECTION_LOST
    return _TIMEOUT.get(trouble.phase, FindingCode.OUT_OF_TIME)


def _beyond_ascii(facts: DialogueFacts) -> FindingCode:
    own = facts.sender.needs_smtputf8
    return FindingCode.SENDER_NEEDS_SMTPUTF8 if own else FindingCode.SMTPUTF8_NOT_OFFERED


def _by_reply(facts: DialogueFacts, phase: Phase, reply: Reply) -> FindingCode:
    if not (reply.transient or reply.permanent):
        return FindingCode.PROTOCOL_BROKEN
    if wording.limit_reached(reply):
        parallel = wording.too_many_connections(reply)
        return FindingCode.TOO_MANY_CONNECTIONS if parallel else FindingCode.RATE_LIMITED
    if reply.code == 421:
        return FindingCode.GREETING_BUSY if phase is Phase.GREETING else FindingCode.SERVICE_CLOSING
    if phase is Phase.STARTTLS:
        return FindingCode.STARTTLS_REFUSED
    if phase is Phase.AUTH:
        return _at_auth(reply)
    return _at_transaction(facts, phase, reply) if phase in _TRANSACTION else _at_start(phase, reply)


def _at_start(phase: Phase, reply: Reply) -> FindingCode:
    if wording.access(reply) is Access.ADDRESS_NOT_LISTED:
        return FindingCode.ADDRESS_NOT_LISTED
    if phase is Phase.GREETING:
        return FindingCode.GREETING_REJECTED if reply.permanent else FindingCode.GREETING_BUSY
    return FindingCode.EHLO_REFUSED if reply.permanent else FindingCode.TEMPORARILY_REFUSED


def _at_auth(reply: Reply) -> FindingCode:
    known = _known_at_auth(reply)
    if known is not None:
        return known
    if reply.transient:
        return FindingCode.AUTH_TEMPORARILY_UNAVAILABLE
    if reply.code in {500, 502, 503}:
        return FindingCode.AUTH_NOT_OFFERED  # the command is unknown here, or not enabled
    return FindingCode.NO_MECHANISM if reply.code in {504, 534} else FindingCode.AUTH_REFUSED


def _known_at_auth(reply: Reply) -> FindingCode | None:
    access = wording.access(reply)
    if access is Access.ADDRESS_NOT_LISTED:
        return FindingCode.ADDRESS_NOT_LISTED
    if access is Access.ENCRYPTION_REQUIRED or reply.code == 538 or wording.detail(reply) == (7, 11):
        return FindingCode.AUTH_NEEDS_TLS
    if wording.password_off(reply):
        return FindingCode.MICROSOFT_PASSWORD_OFF
    return FindingCode.GOOGLE_APP_PASSWORD if wording.app_password_needed(reply) else None


_ACCESS = {
    Access.ENCRYPTION_REQUIRED: FindingCode.ENCRYPTION_REQUIRED,
    Access.PASSWORD_OFF: FindingCode.MICROSOFT_PASSWORD_OFF,
    Access.SENDER: FindingCode.SENDER_REFUSED,
    Access.ADDRESS_NOT_LISTED: FindingCode.ADDRESS_NOT_LISTED,
    Access.RELAY_DENIED: FindingCode.RELAY_DENIED,
    Access.AUTHENTICATION_REQUIRED: FindingCode.AUTHENTICATION_REQUIRED,
}


def _at_transaction(facts: DialogueFacts, phase: Phase, reply: Reply) -> FindingCode:
    access = wording.access(reply)
    if access is not None:
        return _ACCESS[access]
    if reply.transient:
        return FindingCode.TEMPORARILY_REFUSED
    if wording.detail(reply) in wording.BEYOND_ASCII:
        return _beyond_ascii(facts)
    if reply.code == 552 or wording.detail(reply) == (3, 4):
        return FindingCode.MESSAGE_TOO_LARGE
    at_mail = phase is Phase.MAIL and reply.code not in {503, 555}
    return FindingCode.SENDER_REFUSED if at_mail else FindingCode.COMMAND_REFUSED


def _login_without_domain(facts: DialogueFacts, decisive: FindingCode) -> Finding | None:
    # Many a login is no address; only a refused one is worth the hint.
    if decisive is not FindingCode.AUTH_REFUSED or not facts.login or "@" in facts.login:
        return None
    return Finding.of(
        FindingCode.LOGIN_WITHOUT_DOMAIN,
        Phase.AUTH,
        {"login": facts.login, "sender": facts.sender.address},
    )


def _expires_soon(facts: DialogueFacts) -> Finding | None:
    ends = facts.tls_expires_at
    if ends is None or ends - facts.now >= EXPIRES_SOON:
        return None
    days = max((ends - facts.now).days, 0)
    told = {"host": facts.host, "expires_at": ends.isoformat(), "days": str(days)}
    return Finding.of(FindingCode.CERTIFICATE_EXPIRES_SOON, None, told)


def _no_credentials(facts: DialogueFacts) -> Finding | None:
    signs_in = bool(facts.login) and facts.has_secret
    if signs_in or facts.offered is None or not facts.offered.mechanisms:
        return None
    told = {"host": facts.host, "offered": " ".join(facts.offered.mechanisms)}
    return Finding.of(FindingCode.NO_CREDENTIALS_BUT_OFFERED, None, told)


def _small_size(facts: DialogueFacts) -> Finding | None:
    size = None if facts.offered is None else facts.offered.size
    if not size or size >= SMALL_SIZE:  # RFC 1870 §4: 0 is no limit
        return None
    return Finding.of(FindingCode.SMALL_SIZE_LIMIT, None, {"host": facts.host, "size": str(size)})


def _no_eight_bit(facts: DialogueFacts) -> Finding | None:
    if facts.offered is None or facts.offered.eight_bit:
        return None
    return Finding.of(FindingCode.NO_EIGHT_BIT, None, {"host": facts.host})
