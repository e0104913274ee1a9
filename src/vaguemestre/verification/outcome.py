"""What a verification found: a value, and the body that the API answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.ledger.verifications import Record
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.phase import Phase, Trouble
from vaguemestre.mail.secret import Shape
from vaguemestre.mail.transcript import Transcript
from vaguemestre.mail.validity import Validity
from vaguemestre.policy.diagnosis import DialogueFacts, Offered, diagnose
from vaguemestre.policy.dialogue import LoginForm
from vaguemestre.policy.finding import Finding, Severity
from vaguemestre.providers.preset import Login, Preset, preset_of_host
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.certificate import Certificate, Tls
from vaguemestre.smtp.hop import NextHop
from vaguemestre.verification.climb import Climb


@dataclass(frozen=True)
class Outcome:
    """The end of a verification.

    Attributes:
        ok: whether mail can leave this way; warnings do not count.
        steps: all of them.
        findings: the decisive one first.
        capabilities: what the server announced last; empty if it did not get so far.
        tls: how the session was protected; None if it was not.
        seen_address: where the server saw us come from, if it said so.
        mechanism: how the session signed in; "" where it did not.
        validity: of the server's certificate; None where there is none whose end matters.
        presented: the server's certificate where it was refused, as something to pin; None else.
    """

    ok: bool
    steps: Transcript
    findings: tuple[Finding, ...]
    capabilities: dict[str, Any]
    tls: dict[str, Any] | None
    seen_address: str | None
    mechanism: str = ""
    validity: Validity | None = None
    presented: Certificate | None = None


def outcome_of(climb: Climb, trouble: Trouble | None, now: datetime) -> Outcome:
    """What a climb that is over found; `trouble` is what ended it, None if nothing did."""
    session, steps = climb.session, climb.transcript
    findings = diagnose(_facts(climb, trouble, now))
    return Outcome(
        ok=all(finding.severity is not Severity.ERROR for finding in findings),
        steps=steps,
        findings=findings,
        capabilities=_capabilities(session.capabilities),
        tls=None if session.tls is None else _tls(session.tls),
        seen_address=session.seen_address,
        mechanism=session.mechanism,
        validity=session.validity,
        presented=session.presented,
    )


def record_of(outcome: Outcome, hop: NextHop) -> Record:
    """What the ledger keeps of it; `hop` is what was tried."""
    return Record(
        ok=outcome.ok,
        host=hop.host,
        source_address=hop.source_address,
        steps=[step.as_json() for step in outcome.steps],
        findings=[finding.as_json() for finding in outcome.findings],
        seen_address=outcome.seen_address or "",
        mechanism=outcome.mechanism,
        validity=outcome.validity,
    )


def as_json(outcome: Outcome, words: Callable[[Finding], dict[str, Any]]) -> dict[str, Any]:
    """The body of `POST /connections/verify`, its texts by `words` (`wording.words`)."""
    return {
        "ok": outcome.ok,
        "steps": [step.as_json() for step in outcome.steps],
        "findings": [words(finding) for finding in outcome.findings],
        "capabilities": outcome.capabilities,
        "tls": outcome.tls,
        "seen_address": outcome.seen_address,
        "mechanism": outcome.mechanism or None,
        "presented": None if outcome.presented is None else _presented(outcome.presented),
    }


def _presented(certificate: Certificate) -> dict[str, Any]:
    """A certificate that was refused: what to pin is its fingerprint, or the PEM of its authority."""
    authority = certificate.authority
    return {
        "subject": certificate.subject,
        "names": list(certificate.names),
        "issuer": certificate.issuer,
        "valid_from": certificate.not_before or None,
        "expires_at": certificate.not_after or None,
        "fingerprint": certificate.fingerprint,
        "authority": None if authority is None else _presented(authority) | {"pem": authority.pem},
    }


def _facts(climb: Climb, trouble: Trouble | None, now: datetime) -> DialogueFacts:
    session, silent = climb.session, climb.silent
    hop = session.hop
    preset = _preset_of(hop.host)
    return DialogueFacts(
        trouble=trouble,
        host=hop.host,
        port=hop.port,
        encryption=hop.encryption,
        sender=hop.sender,
        now=now,
        login=hop.login,
        has_secret=hop.secret is not None,
        secret_shape=hop.secret.shape if hop.secret and hop.auth is AuthKind.PASSWORD else Shape.ORDINARY,
        offered=_offered(session.capabilities) if _introduced(climb.transcript) else None,
        validity=session.validity,
        tls_issuer="" if session.tls is None else session.tls.issuer,
        seen_address=session.seen_address or "",
        well_known=preset is not None,
        login_form=_login_form(preset),
        silent_address=None if silent is None else str(silent.address),
    )


def _preset_of(host: str) -> Preset | None:
    """The provider whose server that is; the preset without encryption is a machine's own server."""
    found = preset_of_host(host)
    return None if found is None or found.server.encryption is Encryption.NONE else found


def _login_form(preset: Preset | None) -> LoginForm:
    if preset is None:
        return LoginForm.UNKNOWN
    return LoginForm.ADDRESS if preset.login_is is Login.ADDRESS else LoginForm.OTHER


def _introduced(steps: Transcript) -> bool:
    """Whether the server announced what it can, and TLS did not void it afterwards (RFC 3207 §4.2)."""
    told = False
    for step in steps:
        if step.phase is Phase.EHLO:
            told = step.reply is not None and step.reply.positive
        elif step.phase is Phase.STARTTLS:
            told = False
    return told


def _offered(announced: Capabilities) -> Offered:
    return Offered(announced.size, announced.eight_bit, announced.smtputf8, announced.auth)


def _capabilities(announced: Capabilities) -> dict[str, Any]:
    if not announced.keywords and not announced.greeting_name:
        return {}
    return {
        "greeting_name": announced.greeting_name,
        "size": announced.size,
        "auth": list(announced.auth),
        "keywords": sorted(announced.keywords),
    }


def _tls(tls: Tls) -> dict[str, Any]:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "names": list(tls.names),
        "issuer": tls.issuer,
        "expires_at": tls.expires_at or None,
        "fingerprint": tls.certificate.fingerprint,
    }
