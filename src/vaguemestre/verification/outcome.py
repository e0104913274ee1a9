"""What a verification found: a value, and the body that the API answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.phase import Phase, Trouble
from vaguemestre.mail.secret import Shape
from vaguemestre.mail.transcript import Transcript
from vaguemestre.policy.diagnosis import DialogueFacts, Offered, diagnose
from vaguemestre.policy.finding import Finding, Severity
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.certificate import Tls
from vaguemestre.smtp.session import Session


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
    """

    ok: bool
    steps: Transcript
    findings: tuple[Finding, ...]
    capabilities: dict[str, Any]
    tls: dict[str, Any] | None
    seen_address: str | None


def outcome_of(session: Session, steps: Transcript, trouble: Trouble | None, now: datetime) -> Outcome:
    """What a dialogue that is over found; `trouble` is what ended it, None if nothing did."""
    findings = diagnose(_facts(session, steps, trouble, now))
    return Outcome(
        ok=all(finding.severity is not Severity.ERROR for finding in findings),
        steps=steps,
        findings=findings,
        capabilities=_capabilities(session.capabilities),
        tls=None if session.tls is None else _tls(session.tls),
        seen_address=session.seen_address,
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
    }


def _facts(session: Session, steps: Transcript, trouble: Trouble | None, now: datetime) -> DialogueFacts:
    hop, tls = session.hop, session.tls
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
        offered=_offered(session.capabilities) if _introduced(steps) else None,
        tls_expires_at=datetime.fromisoformat(tls.expires_at) if tls is not None and tls.expires_at else None,
        tls_issuer="" if tls is None else tls.issuer,
        seen_address=session.seen_address or "",
    )


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
