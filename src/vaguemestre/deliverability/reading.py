"""What a receiver wrote about a test message, in words: one line for SPF, DKIM and DMARC each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from django.utils.translation import gettext, gettext_noop

from vaguemestre.policy.authentication_results import Method, Reading, Result, Verdict
from vaguemestre.policy.finding import Severity

_TEXTS: dict[tuple[Method, Verdict], str] = {
    (Method.SPF, Verdict.PASS): gettext_noop(
        "The server that handed the message over may send for %(domain)s."
    ),
    (Method.SPF, Verdict.FAIL): gettext_noop(
        "The server that handed the message over may not send for %(domain)s: its SPF record does not "
        "name it."
    ),
    (Method.SPF, Verdict.NONE): gettext_noop("%(domain)s has no SPF record."),
    (Method.DKIM, Verdict.PASS): gettext_noop("The message carries a signature of %(domain)s, and it holds."),
    (Method.DKIM, Verdict.FAIL): gettext_noop(
        "The signature of %(domain)s does not hold: the message was changed on its way, or the key that is "
        "published is another one."
    ),
    (Method.DKIM, Verdict.NONE): gettext_noop("The message is not signed. Switch on DKIM at your provider."),
    (Method.DMARC, Verdict.PASS): gettext_noop("The sender that people see, of %(domain)s, is proven."),
    (Method.DMARC, Verdict.FAIL): gettext_noop(
        "Neither SPF nor DKIM proves that the message is of %(domain)s, the domain that people see as its "
        "sender."
    ),
    (Method.DMARC, Verdict.NONE): gettext_noop("%(domain)s has no DMARC record."),
}
_BROKEN = gettext_noop("The receiver could not check it: the record of %(domain)s cannot be read.")
_LATER = gettext_noop("The receiver could not check it just then; the next message will tell.")
_UNDECIDED = gettext_noop("The record of %(domain)s says neither yes nor no.")
_STRANGE = gettext_noop("The receiver says something that is not in the standard.")
_MISSING = gettext_noop("The receiver says nothing about it.")
_OTHER_DOMAIN = gettext_noop(
    "It speaks for %(domain)s, though, and not for %(sender)s: DMARC does not count it."
)
_SAME = {Verdict.SOFTFAIL: Verdict.FAIL}
_ANY = {
    Verdict.PERMERROR: _BROKEN,
    Verdict.TEMPERROR: _LATER,
    Verdict.NEUTRAL: _UNDECIDED,
    Verdict.OTHER: _STRANGE,
}


@dataclass(frozen=True)
class Line:
    """A check in words."""

    method: str
    verdict: str
    text: str
    severity: Severity


def lines(reading: Reading, sender_domain: str) -> list[Line]:
    """A line for each of the three."""
    aligned = partial(_aligned, sender_domain=sender_domain)
    return [_line(method, reading.best(method, aligned), sender_domain) for method in Method]


def _line(method: Method, result: Result | None, sender_domain: str) -> Line:
    if result is None:
        return Line(method.value.upper(), "", gettext(_MISSING), Severity.WARNING)
    known = _SAME.get(result.verdict, result.verdict)
    message = _TEXTS.get((method, known)) or _ANY.get(known, _STRANGE)
    facts = {"domain": result.domain or sender_domain, "sender": sender_domain}
    text, severity = gettext(message) % facts, _severity(known)
    if known is Verdict.PASS and not _aligned(facts["domain"], sender_domain):
        text, severity = f"{text} {gettext(_OTHER_DOMAIN) % facts}", Severity.WARNING
    return Line(method.value.upper(), result.verdict.value, text, severity)


def _severity(verdict: Verdict) -> Severity:
    if verdict is Verdict.PASS:
        return Severity.INFO
    return Severity.ERROR if verdict in {Verdict.FAIL, Verdict.PERMERROR} else Severity.WARNING


def _aligned(domain: str, sender_domain: str) -> bool:
    """Relaxed, as far as it can be told without the list of public suffixes (RFC 7489 §3.1)."""
    return (
        domain == sender_domain
        or domain.endswith(f".{sender_domain}")
        or sender_domain.endswith(f".{domain}")
    )
