"""What works today and may not tomorrow, or not for every message: findings behind a decisive one.

`cautions` are of a server's announcements and certificate, the most pressing first. Pure; nothing fails here.
"""

from __future__ import annotations

from vaguemestre.mail.phase import Phase
from vaguemestre.policy.dialogue import DialogueFacts, LoginForm
from vaguemestre.policy.expiry import notice_of
from vaguemestre.policy.finding import Finding, FindingCode
from vaguemestre.policy.interception import interceptor

SMALL_SIZE = 10 * 1024 * 1024  # octets; an ordinary attachment


def cautions(facts: DialogueFacts) -> tuple[Finding, ...]:
    """What deserves somebody's attention."""
    found = (
        _expires_soon(facts),
        _intercepted(facts),
        _no_credentials(facts),
        _small_size(facts),
        _family_silent(facts),
    )
    return tuple(finding for finding in found if finding is not None)


def remarks(facts: DialogueFacts) -> tuple[Finding, ...]:
    """What is worth knowing, though nobody must act on it."""
    offered, told = facts.offered, {"host": facts.host}
    lacks = {
        FindingCode.NO_EIGHT_BIT: offered is not None and not offered.eight_bit,
        FindingCode.NO_SMTPUTF8: offered is not None and not offered.smtputf8,
    }
    return tuple(Finding.of(code, None, told) for code, lacking in lacks.items() if lacking)


def login_hint(facts: DialogueFacts) -> Finding | None:
    """That a refused login is no address: many a login is none, so that it may be right all the same."""
    if not facts.login or "@" in facts.login or facts.login_form is LoginForm.OTHER:
        return None
    told = {"login": facts.login, "sender": facts.sender.address}
    return Finding.of(FindingCode.LOGIN_WITHOUT_DOMAIN, Phase.AUTH, told)


def _expires_soon(facts: DialogueFacts) -> Finding | None:
    validity = facts.validity
    if validity is None or notice_of(validity, facts.now) is None:
        return None
    days = max((validity.ends_at - facts.now).days, 0)
    told = {"host": facts.host, "expires_at": validity.ends_at.isoformat(), "days": str(days)}
    return Finding.of(FindingCode.CERTIFICATE_EXPIRES_SOON, None, told)


def _intercepted(facts: DialogueFacts) -> Finding | None:
    product = interceptor(facts.tls_issuer)
    if not product:
        return None
    told = {"host": facts.host, "product": product, "issuer": facts.tls_issuer}
    return Finding.of(FindingCode.TRUSTED_INTERCEPTION, None, told)


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


def _family_silent(facts: DialogueFacts) -> Finding | None:
    if facts.silent_address is None:
        return None
    silent, other = ("IPv6", "IPv4") if ":" in facts.silent_address else ("IPv4", "IPv6")
    told = {"host": facts.host, "address": facts.silent_address, "family": silent, "other": other}
    return Finding.of(FindingCode.FAMILY_SILENT, Phase.CONNECT, told)
