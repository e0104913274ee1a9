"""The steps of a dialogue as short labels for people, in the active language."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext, gettext_noop

from vaguemestre.ledger.days import day_text
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.transcript import Step
from vaguemestre.verification.climb import ALSO
from vaguemestre.verification.sign_in import ASKS

_DONE = {
    Phase.RESOLVE: gettext_noop("Address found"),
    Phase.CONNECT: gettext_noop("Server reached, port %(port)s"),
    Phase.TLS: gettext_noop("Encrypted exchange, %(version)s"),
    Phase.GREETING: gettext_noop("It speaks SMTP"),
    Phase.EHLO: gettext_noop("It says what it can do"),
    Phase.STARTTLS: gettext_noop("It agrees to encrypt"),
    Phase.AUTH: gettext_noop("Login accepted"),
    Phase.MAIL: gettext_noop("Sender accepted"),
    Phase.RCPT: gettext_noop("Recipient accepted"),
    Phase.DATA: gettext_noop("Ready for the message"),
    Phase.CONTENT: gettext_noop("Message accepted"),
    Phase.RSET: gettext_noop("Trial ended, nothing sent"),
    Phase.QUIT: gettext_noop("Goodbye"),
}
_ASKED_FOR_LOGIN = gettext_noop("It asks for login and password")
_NOT_NOW = {
    Phase.GREETING: gettext_noop("It asks to come back later"),
    Phase.AUTH: gettext_noop("Login not checked for now"),
    Phase.MAIL: gettext_noop("Sender not accepted for now"),
    Phase.RCPT: gettext_noop("Recipient not accepted for now"),
    Phase.CONTENT: gettext_noop("Message not accepted for now"),
}
_NO = {
    Phase.GREETING: gettext_noop("It turns us away"),
    Phase.EHLO: gettext_noop("It refuses our introduction"),
    Phase.STARTTLS: gettext_noop("It refuses to encrypt"),
    Phase.AUTH: gettext_noop("Login refused"),
    Phase.MAIL: gettext_noop("Sender refused"),
    Phase.RCPT: gettext_noop("Recipient refused"),
    Phase.CONTENT: gettext_noop("Message refused"),
    Phase.RSET: gettext_noop("The end of the trial was not confirmed"),
    Phase.QUIT: gettext_noop("It left without a goodbye"),
}
_REFUSES = gettext_noop("It refuses")
_HUNG_UP = gettext_noop("It hung up")
_LATE = gettext_noop("No answer in time")
_SENSELESS = gettext_noop("Its answer makes no sense")
_UNENCRYPTED = gettext_noop("No encrypted exchange")
_NOT_FOUND = gettext_noop("Name not found for now")
_NOT_REACHED = gettext_noop("Server not reached, port %(port)s")
_NO_CONNECTION = gettext_noop("No answer, port %(port)s")
_SILENT = gettext_noop("It says nothing")
_NOT_PERMITTED = gettext_noop("Not permitted here")

# What one cause means at one phase goes before what it means anywhere.
_AT = {
    (Phase.RESOLVE, Cause.TIMEOUT): _NOT_FOUND,
    (Phase.CONNECT, Cause.TIMEOUT): _NO_CONNECTION,
    (Phase.CONNECT, Cause.LOST): _NOT_REACHED,
    (Phase.GREETING, Cause.TIMEOUT): _SILENT,
    (Phase.STARTTLS, Cause.NOT_OFFERED): gettext_noop("It offers no encryption"),
    (Phase.AUTH, Cause.NOT_OFFERED): gettext_noop("It takes no login"),
    (Phase.AUTH, Cause.NOT_PERMITTED): gettext_noop("Login held back: not encrypted"),
    (Phase.QUIT, Cause.TIMEOUT): _NO[Phase.QUIT],
    (Phase.QUIT, Cause.LOST): _NO[Phase.QUIT],
    (Phase.RSET, Cause.TIMEOUT): _NO[Phase.RSET],
    (Phase.RSET, Cause.LOST): _NO[Phase.RSET],
}
_BY_CAUSE = {
    Cause.HOST_UNKNOWN: gettext_noop("No server of that name"),
    Cause.LOOKUP_FAILED: _NOT_FOUND,
    Cause.NOT_PERMITTED: _NOT_PERMITTED,
    Cause.CONNECTION_REFUSED: gettext_noop("Connection refused, port %(port)s"),
    Cause.UNREACHABLE: _NOT_REACHED,
    Cause.SOURCE_ADDRESS: gettext_noop("No way out from the local address"),
    Cause.NOT_SMTP: gettext_noop("It does not speak SMTP"),
    Cause.TLS_EXPECTED: gettext_noop("It wants encryption at once"),
    Cause.NO_MECHANISM: gettext_noop("No common way to sign in"),
    Cause.LOST: _HUNG_UP,
    Cause.TIMEOUT: _LATE,
    Cause.MALFORMED: _SENSELESS,
    Cause.UNDUE: _SENSELESS,
}
_ALSO_ANSWERS = gettext_noop("Its %(family)s address answers too")
_ALSO_SILENT = gettext_noop("Its %(family)s address does not answer")
_NO_WAY_THERE = gettext_noop("No %(family)s from here; it is not needed")
_TOKEN_OBTAINED = gettext_noop("Token obtained (OAuth2)")
_NO_TOKEN = gettext_noop("The provider gives no token (OAuth2)")
_NO_TOKEN_NOW = gettext_noop("No token for now (OAuth2)")
_NOT_TRUSTED = gettext_noop("Certificate not trusted")
_HANDSHAKE = "TLS handshake"  # what `smtp.opening` writes into the step
_GO_ON = frozenset({Phase.AUTH, Phase.DATA})  # where 3yz is an answer that was asked for
_ONLY = {Phase.GREETING: 220, Phase.EHLO: 250, Phase.STARTTLS: 220, Phase.AUTH: 235}  # of 2yz, what means yes
_CANCELLED = "*"  # what ends AUTH in our name (RFC 4954 §4)


def step_failed(step: Step) -> bool:
    """Whether the step ended otherwise than it should: an error, or an answer that is a no."""
    if step.sent.startswith(ALSO):
        return step.error not in {None, Cause.UNREACHABLE}
    if step.error is not None or step.reply is None:
        return step.error is not None
    if step.reply.intermediate:
        return step.phase not in _GO_ON or step.sent == _CANCELLED
    return not step.reply.positive or step.reply.code != _ONLY.get(step.phase, step.reply.code)


def step_text(step: Step) -> str:
    """A short label, such as "Server reached, port 587"."""
    message = _message(step)
    return gettext(message) % _facts(step) if "%(" in message else gettext(message)


def step_detail(step: Step) -> str:
    """What is worth knowing beneath the label of a step that went well; "" for most."""
    if step_failed(step):
        return ""
    until = step.detail.partition(" until ")[2]
    if step.sent == _HANDSHAKE and until:
        ends = date.fromisoformat(until)
        return gettext("certificate until %(date)s") % {"date": day_text(ends)}
    return step.sent.split(" ")[1] if step.sent.startswith("AUTH ") else ""


def _message(step: Step) -> str:
    if step.sent.startswith(ASKS):
        return {None: _TOKEN_OBTAINED, Cause.TIMEOUT: _NO_TOKEN_NOW}.get(step.error, _NO_TOKEN)
    if step.sent.startswith(ALSO):
        return {None: _ALSO_ANSWERS, Cause.UNREACHABLE: _NO_WAY_THERE}.get(step.error, _ALSO_SILENT)
    return _by_reply(step) if step.error is None else _by_error(step, step.error)


def _by_error(step: Step, cause: Cause) -> str:
    known = _AT.get((step.phase, cause))
    if known is not None:
        return known
    if cause.value.startswith("certificate_"):
        return _NOT_TRUSTED
    if step.sent == _HANDSHAKE:
        return _UNENCRYPTED
    return _BY_CAUSE.get(cause, _REFUSES)


def _by_reply(step: Step) -> str:
    reply = step.reply
    if reply is not None and step_failed(step):
        if not (reply.transient or reply.permanent):
            return _SENSELESS
        refused = _NO.get(step.phase, _REFUSES)
        return _NOT_NOW.get(step.phase, refused) if reply.transient else refused
    if step.phase is Phase.AUTH and reply is not None and reply.intermediate:
        return _ASKED_FOR_LOGIN
    return _DONE[Phase.TLS if step.sent == _HANDSHAKE else step.phase]


def _facts(step: Step) -> dict[str, str]:
    """The port out of "connect to 192.0.2.1 port 587", "TLS 1.3" out of "TLSv1.3 TLS_AES_...".

    The name of a later version is shown as OpenSSL has it.
    """
    version = step.detail.split(" ")[0]
    return {
        "port": step.sent.rpartition(" ")[2],
        "version": version.replace("TLSv", "TLS "),
        "family": "IPv6" if ":" in step.detail else "IPv4",
    }
