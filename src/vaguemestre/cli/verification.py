"""Verification on a terminal: each step as it happens, then what it means and what to do."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from django.utils import timezone

from vaguemestre.cli.output import inert, say
from vaguemestre.ledger.connections import Draft
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.transcript import Step
from vaguemestre.smtp.certificate import Certificate
from vaguemestre.verification.outcome import Outcome, as_json
from vaguemestre.verification.pins import pinnable
from vaguemestre.verification.probe import verify
from vaguemestre.verification.wording import step_text, words

# What the remedies call a place of the console, and what it is called here.
_PLACES = {
    "Server": "--host",
    "Port": "--port",
    "Encryption": "--encryption",
    "Sender email": "--sender-email",
    "SMTP login": "--login",
    "SMTP password": "--ask-password",
    "Pinned certificate": "--pinned-certificate",
    "Sessions at once": "--max-sessions",
    "Source IP addresses (whitelist)": "`vaguemestre source-address list`",
}
_PLACE = re.compile("“(" + "|".join(map(re.escape, _PLACES)) + ")”(?: \\(Advanced\\))?")


def run(draft: Draft, arguments: argparse.Namespace, recipient: Mailbox | None = None) -> int:
    """Verify and print; the answer is the exit status: 0 where mail can leave this way."""
    for told in verify(draft, timezone.now(), recipient=recipient):
        if isinstance(told, Outcome):
            return _conclude(told, arguments)
        if not arguments.json:
            say(inert(_line(told)))
    return 1


def _conclude(outcome: Outcome, arguments: argparse.Namespace) -> int:
    result = as_json(outcome, words)
    if arguments.json:
        say(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        say(inert("\n".join(map(_finding, result["findings"]))))
        if (certificate := pinnable(outcome)) is not None:
            say(inert(_certificate(certificate)))
        say("The connection works." if outcome.ok else "The connection does not work.")
    return 0 if outcome.ok else 1


def _certificate(shown: Certificate) -> str:
    """What to compare with what its administrator says."""
    facts = {
        "made out to": shown.subject,
        "for": ", ".join(shown.names),
        "issued by": shown.issuer,
        "valid": f"{shown.not_before[:10]} to {shown.not_after[:10]}",
        "SHA-256": shown.fingerprint,
        "its authority": shown.authority and shown.authority.pem,
    }
    lines = [f"  {name}: {value}" for name, value in facts.items() if value]
    return "\n".join(["The certificate that the server showed; --pinned-certificate trusts it:", *lines])


def _line(step: Step) -> str:
    if step.error is not None:
        answer = step.error.value
    elif step.reply is not None:
        answer = " / ".join(f"{step.reply.code} {step.reply.text}".splitlines())
    else:
        answer = step.detail
    return f"{step.elapsed * 1000:7.0f} ms  {step_text(step):<32}  {answer}".rstrip()


def _finding(finding: dict[str, Any]) -> str:
    remedy = _PLACE.sub(lambda place: f"“{place[1]}” ({_PLACES[place[1]]})", finding["remedy"])
    sentences = [f"{finding['severity']}: {finding['what']}. {finding['why']}", remedy]
    return "\n  ".join(filter(None, sentences))
