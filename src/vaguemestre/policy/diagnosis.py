"""What a dialogue with a server means for the person who set it up.

`diagnose` promises at least one finding for every dialogue, the decisive one first: what went wrong if
something did, and behind it what may go wrong next. Of a dialogue that went well it is what works today and
may not tomorrow; `ok` closes that list. A dialogue has one trouble at most, for it ends there. An answer to
RSET or QUIT decides nothing: all that matters was said before.

For an address that our own guard refuses the finding is always the same, with nothing in it but what was
typed (L10). What answered in place of an SMTP server is never repeated.
"""

from __future__ import annotations

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy import signing_in, wording
from vaguemestre.policy.cautions import cautions, login_hint, remarks
from vaguemestre.policy.dialogue import DialogueFacts, Offered
from vaguemestre.policy.finding import Finding, FindingCode, Severity, Who
from vaguemestre.policy.interception import interceptor
from vaguemestre.policy.wording import Access

__all__ = ["DialogueFacts", "Finding", "FindingCode", "Offered", "Severity", "Who", "diagnose"]

STARTTLS_PORTS = frozenset({25, 587, 2525, 2587})

_AFTER = frozenset({Phase.RSET, Phase.QUIT})
_ABOUT_RECIPIENT = frozenset({FindingCode.COMMAND_REFUSED, FindingCode.TEMPORARILY_REFUSED})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})


def diagnose(facts: DialogueFacts) -> tuple[Finding, ...]:
    """The findings, the decisive one first."""
    refused = _recipient_refused(facts)
    error = None if refused else _error(facts)
    if error is None:
        fine = Finding.of(FindingCode.OK, None, _target(facts))
        return (*((refused,) if refused else ()), *cautions(facts), *remarks(facts), fine)
    hint = login_hint(facts) if error.code is FindingCode.AUTH_REFUSED else None
    return (error, *((hint,) if hint else ()), *cautions(facts))


def _recipient_refused(facts: DialogueFacts) -> Finding | None:
    """A server that takes our mail may still not take it for that address: that blames no connection."""
    trouble = facts.trouble
    if trouble is None or trouble.phase is not Phase.RCPT or trouble.reply is None:
        return None
    if _by_reply(facts, trouble, trouble.reply) not in _ABOUT_RECIPIENT:
        return None
    code = FindingCode.RECIPIENT_REFUSED
    return Finding.of(code, Phase.RCPT, _told(facts, trouble, code))


def _error(facts: DialogueFacts) -> Finding | None:
    trouble = facts.trouble
    if trouble is not None and trouble.phase not in _AFTER | {Phase.MAIL}:
        return _found(facts, trouble)
    # The sender's need is known before the server refuses it at MAIL, and says more than that refusal.
    if facts.sender.needs_smtputf8 and facts.offered is not None and not facts.offered.smtputf8:
        return Finding.decisive(FindingCode.SENDER_NEEDS_SMTPUTF8, Phase.MAIL, _target(facts))
    return None if trouble is None or trouble.phase in _AFTER else _found(facts, trouble)


def _found(facts: DialogueFacts, trouble: Trouble) -> Finding:
    if trouble.cause is Cause.REPLY and trouble.reply is not None:
        code = _by_reply(facts, trouble, trouble.reply)
    else:
        code = _by_cause(facts, trouble)
    return Finding.decisive(code, trouble.phase, _told(facts, trouble, code))


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
    if code is FindingCode.RATE_LIMITED and trouble.reply and wording.too_many_logins(trouble.reply):
        told["logins"] = "yes"
    return told | _suggestion(facts, code) | _seen(facts, trouble, code) | _between(trouble, code)


def _seen(facts: DialogueFacts, trouble: Trouble, code: FindingCode) -> dict[str, str]:
    """The address that the server saw, where the address is what it refuses."""
    if code not in _OF_OUR_ADDRESS:
        return {}
    seen = "" if trouble.reply is None else wording.address_in(trouble.reply)
    address = seen or facts.seen_address
    return {"seen_address": address} if address else {}


def _between(trouble: Trouble, code: FindingCode) -> dict[str, str]:
    product = _product(trouble) if code is FindingCode.CERTIFICATE_INTERCEPTED else ""
    return {"product": product} if product else {}


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


_OF_OUR_ADDRESS = frozenset(
    {FindingCode.ADDRESS_NOT_LISTED, FindingCode.ADDRESS_ON_BLOCKLIST, FindingCode.ADDRESS_WITHOUT_NAME}
)
_UNTRUSTED = frozenset({Cause.CERTIFICATE_AUTHORITY, Cause.CERTIFICATE_SELF_SIGNED, Cause.CERTIFICATE_OTHER})
_PLAIN = {
    Cause.HOST_UNKNOWN: FindingCode.HOST_UNKNOWN,
    Cause.LOOKUP_FAILED: FindingCode.LOOKUP_FAILED,
    Cause.CONNECTION_REFUSED: FindingCode.REFUSED,
    Cause.UNREACHABLE: FindingCode.NO_ANSWER,
    Cause.SOURCE_ADDRESS: FindingCode.SOURCE_ADDRESS_UNUSABLE,
    Cause.NOT_SMTP: FindingCode.NOT_SMTP,
    Cause.TLS_EXPECTED: FindingCode.STARTTLS_ON_SSL_PORT,
    Cause.TLS_FAILED: FindingCode.TLS_FAILED,
    Cause.TLS_TOO_OLD: FindingCode.TLS_TOO_OLD,
    Cause.CERTIFICATE_EXPIRED: FindingCode.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID: FindingCode.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_NAME: FindingCode.CERTIFICATE_WRONG_NAME,
    Cause.CERTIFICATE_AUTHORITY: FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY,
    Cause.CERTIFICATE_SELF_SIGNED: FindingCode.CERTIFICATE_SELF_SIGNED,
    Cause.CERTIFICATE_OTHER: FindingCode.CERTIFICATE_OTHER,
    Cause.NO_MECHANISM: FindingCode.NO_MECHANISM,
    Cause.TOO_LARGE: FindingCode.MESSAGE_TOO_LARGE,
    Cause.MALFORMED: FindingCode.PROTOCOL_BROKEN,
    Cause.UNDUE: FindingCode.PROTOCOL_BROKEN,
}
_TIMEOUT = {
    Phase.RESOLVE: FindingCode.LOOKUP_FAILED,
    Phase.CONNECT: FindingCode.NO_ANSWER,
    Phase.GREETING: FindingCode.SILENT,
}


def _by_cause(facts: DialogueFacts, trouble: Trouble) -> FindingCode:
    at_auth = trouble.phase is Phase.AUTH
    tokenless = signing_in.without_token(trouble)
    if tokenless is not None:
        return tokenless
    if trouble.cause in {Cause.LOST, Cause.TIMEOUT}:
        return _broken_off(facts, trouble)
    if trouble.cause is Cause.SMTPUTF8_NOT_OFFERED:
        return _beyond_ascii(facts)
    if trouble.cause is Cause.NOT_PERMITTED:
        return FindingCode.AUTH_NEEDS_TLS if at_auth else FindingCode.ADDRESS_NOT_PERMITTED
    if trouble.cause is Cause.NOT_OFFERED:
        return FindingCode.AUTH_NOT_OFFERED if at_auth else FindingCode.STARTTLS_NOT_OFFERED
    return _by_handshake(facts, trouble) or _PLAIN.get(trouble.cause, FindingCode.PROTOCOL_BROKEN)


def _by_handshake(facts: DialogueFacts, trouble: Trouble) -> FindingCode | None:
    if trouble.cause is Cause.TLS_NOT_SPOKEN:
        implicit = trouble.phase is Phase.TLS
        return FindingCode.SSL_ON_STARTTLS_PORT if implicit else FindingCode.TLS_FAILED
    if trouble.cause is Cause.CERTIFICATE_OTHER and "pinned" in trouble.facts:
        return FindingCode.CERTIFICATE_CHANGED
    if trouble.cause in _UNTRUSTED and (facts.well_known or _product(trouble)):
        return FindingCode.CERTIFICATE_INTERCEPTED
    return None


def _product(trouble: Trouble) -> str:
    return interceptor(f"{trouble.facts.get('issuer', '')} {trouble.facts.get('subject', '')}")


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


def _by_reply(facts: DialogueFacts, trouble: Trouble, reply: Reply) -> FindingCode:
    phase = trouble.phase
    if not (reply.transient or reply.permanent):
        return FindingCode.PROTOCOL_BROKEN
    anywhere = _closed(phase, reply) or _shut_out(phase, reply)
    if anywhere is not None:
        return anywhere
    if phase is Phase.STARTTLS:
        return FindingCode.STARTTLS_REFUSED
    if phase is Phase.AUTH:
        return signing_in.refused(facts, trouble, reply)
    return _at_transaction(facts, phase, reply) if phase in _TRANSACTION else _at_start(phase, reply)


def _closed(phase: Phase, reply: Reply) -> FindingCode | None:
    """What a server may say at any phase of itself, or of a limit."""
    if wording.limit_reached(reply):
        return _limit(reply)
    if reply.code != 421 or (phase is Phase.AUTH and wording.login_wrong(reply)):
        return None
    return FindingCode.GREETING_BUSY if phase is Phase.GREETING else FindingCode.SERVICE_CLOSING


def _limit(reply: Reply) -> FindingCode:
    if wording.too_many_connections(reply):
        microsofts = (reply.code, wording.detail(reply)) == (432, (3, 2))
        return FindingCode.MICROSOFT_TOO_MANY_CONNECTIONS if microsofts else FindingCode.TOO_MANY_CONNECTIONS
    return FindingCode.DAILY_LIMIT if wording.daily_limit(reply) else FindingCode.RATE_LIMITED


def _shut_out(phase: Phase, reply: Reply) -> FindingCode | None:
    """What a server may hold against our address or the account, at any phase."""
    if wording.on_blocklist(reply):
        return FindingCode.ADDRESS_ON_BLOCKLIST
    if wording.without_name(reply):
        return FindingCode.ADDRESS_WITHOUT_NAME
    if wording.introduction_refused(reply):
        return FindingCode.EHLO_REFUSED
    ours = phase in {Phase.AUTH, Phase.MAIL}  # at RCPT it is the recipient's
    return FindingCode.ACCOUNT_SUSPENDED if ours and wording.account_suspended(reply) else None


def _at_start(phase: Phase, reply: Reply) -> FindingCode:
    if wording.access(reply) is Access.ADDRESS_NOT_LISTED:
        return FindingCode.ADDRESS_NOT_LISTED
    if phase is Phase.GREETING:
        return FindingCode.GREETING_REJECTED if reply.permanent else FindingCode.GREETING_BUSY
    return FindingCode.EHLO_REFUSED if reply.permanent else FindingCode.TEMPORARILY_REFUSED


_ACCESS = {
    Access.ENCRYPTION_REQUIRED: FindingCode.ENCRYPTION_REQUIRED,
    Access.PASSWORD_OFF: FindingCode.MICROSOFT_PASSWORD_OFF,
    Access.SENDER: FindingCode.SENDER_REFUSED,
    Access.ADDRESS_NOT_LISTED: FindingCode.ADDRESS_NOT_LISTED,
    Access.RELAY_DENIED: FindingCode.RELAY_DENIED,
    Access.AUTHENTICATION_REQUIRED: FindingCode.AUTHENTICATION_REQUIRED,
}


def _at_transaction(facts: DialogueFacts, phase: Phase, reply: Reply) -> FindingCode:
    if phase is Phase.MAIL and wording.sender_domain_unknown(reply):
        return FindingCode.SENDER_DOMAIN_UNKNOWN
    access = wording.access(reply)
    if access is not None:
        return _ACCESS[access]
    if reply.transient:
        return FindingCode.TEMPORARILY_REFUSED
    if wording.detail(reply) in wording.BEYOND_ASCII:
        return _beyond_ascii(facts)
    # At RCPT a 552 is of the recipient's mailbox, which is full (RFC 5321 §4.2.2, RFC 3463 §3.3).
    full = phase is Phase.RCPT or wording.detail(reply) == (2, 2)
    if (reply.code == 552 and not full) or wording.detail(reply) == (3, 4):
        return FindingCode.MESSAGE_TOO_LARGE
    at_mail = phase is Phase.MAIL and reply.code not in {503, 555}
    return FindingCode.SENDER_REFUSED if at_mail else FindingCode.COMMAND_REFUSED
