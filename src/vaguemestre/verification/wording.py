"""Findings and steps for people: what, why and remedy of each code in the active language.

A finding is kept as code and facts, so that it can be read in any language later. A kept one whose code this
version does not know is shown by its code. Facts are put in as text: whoever shows the words escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from vaguemestre.ledger.days import day_text
from vaguemestre.ledger.sizes import size_text
from vaguemestre.policy.finding import REMARKS, Finding, FindingCode, Who
from vaguemestre.verification.ladder import step_detail, step_failed, step_text
from vaguemestre.verification.texts.cautions import CAUTIONS
from vaguemestre.verification.texts.details import behind_remedy, behind_why
from vaguemestre.verification.texts.dialogue import DIALOGUE
from vaguemestre.verification.texts.encryption import ENCRYPTION
from vaguemestre.verification.texts.passing import PASSING
from vaguemestre.verification.texts.reaching import REACHING
from vaguemestre.verification.texts.seen import SEEN
from vaguemestre.verification.texts.signing_in import SIGNING_IN, TAKES_NO_TOKEN, TOO_MANY_LOGINS
from vaguemestre.verification.texts.text import Text
from vaguemestre.verification.texts.tokens import TOKENS

__all__ = [
    "TEXTS",
    "busy_text",
    "explained",
    "step_detail",
    "step_failed",
    "step_text",
    "stored_words",
    "who_text",
    "words",
]

SAID_LIMIT = 300  # characters of the server's words in a sentence; the step has all of them
NAMES_SHOWN = 6

TEXTS: dict[FindingCode, Text] = REACHING | ENCRYPTION | SIGNING_IN | TOKENS | PASSING | DIALOGUE | CAUTIONS
_WITHOUT_LOGIN = gettext_noop("%(host)s takes mail from %(sender)s without a login. No message was sent.")
_WHO = {
    Who.YOU: gettext_noop("For you to do"),
    Who.PROVIDER: gettext_noop("For your mail provider to do"),
    Who.DNS_HOST: gettext_noop("For whoever looks after the domain name to do"),
    Who.OPERATOR: gettext_noop("For whoever runs this installation to do"),
}
_DATES = ("expired_at", "expires_at", "valid_from")
_ENCRYPTIONS = {"ssl": "SSL", "starttls": "TLS"}  # as the form calls them
_ORGANISATION = re.compile(r"(?:^|,)(O|CN)=((?:\\.|[^,\\])+)")  # of RFC 4514
_FACT = re.compile(r"%\((\w+)\)s")


def words(finding: Finding) -> dict[str, Any]:
    """A finding in the active language.

    Returns:
        `code`, `severity`, `phase` (or None), `what`, `why`, `remedy`, `who` (a code) and `who_text`, which
        is "" where nobody has anything to do.
    """
    return stored_words(finding.as_json())


def with_words(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A connection as the ledger shows it, the findings of its verification in words."""
    verification = resource["verification"]
    findings = [stored_words(finding) for finding in verification["findings"]]
    return dict(resource) | {"verification": verification | {"findings": findings}}


def stored_words(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a finding as the ledger keeps it."""
    told = {name: stored.get(name) for name in ("code", "severity", "phase", "who")}
    try:
        code, who = FindingCode(str(stored["code"])), Who(str(stored["who"]))
    except (KeyError, ValueError):
        return told | {"what": str(stored.get("code", "")), "why": "", "remedy": "", "who_text": ""}
    facts = dict(stored.get("facts") or {})
    shown, text = _shown(facts), _text(code, facts)
    return told | {
        "what": _sentences([text.what], shown),
        "why": _sentences([text.why, *behind_why(code, facts)], shown),
        "remedy": _sentences([text.remedy, *behind_remedy(code, facts)], shown),
        "who_text": "" if code in REMARKS else who_text(who),
    }


def who_text(who: Who) -> str:
    """Who must act."""
    return gettext(_WHO[who])


def explained(code: FindingCode, facts: Mapping[str, str]) -> dict[str, Any]:
    """A finding by itself, with an example's facts; `seen` says when there is one."""
    return words(Finding.of(code, None, facts)) | {"seen": gettext(SEEN[code])}


def busy_text() -> str:
    """What to say where `probe.Busy` was raised."""
    return gettext("Several verifications are running already. Try again in a few seconds.")


def _text(code: FindingCode, facts: Mapping[str, str]) -> Text:
    text = TEXTS[code]
    if code is FindingCode.OK and not facts.get("login"):
        return Text(text.what, _WITHOUT_LOGIN, text.remedy)
    if code is FindingCode.NO_MECHANISM and "oauth" in facts:
        return TAKES_NO_TOKEN
    if code is FindingCode.RATE_LIMITED and "logins" in facts:
        return TOO_MANY_LOGINS
    return text


def _sentences(messages: Iterable[str], shown: Mapping[str, str]) -> str:
    """The messages that have all their facts, translated and filled, one behind the other."""
    first, *further = messages
    complete = [first, *(message for message in further if all(map(shown.get, _FACT.findall(message))))]
    return " ".join(_filled(gettext(message), shown) for message in complete if message)


def _filled(template: str, shown: Mapping[str, str]) -> str:
    return _FACT.sub(lambda found: shown.get(found[1]) or "?", template)


def _shown(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts as people read them."""
    shown = dict(facts)
    shown |= {name: _date(facts[name]) for name in _DATES if facts.get(name)}
    if facts.get("encryption"):
        shown["chosen"] = _ENCRYPTIONS.get(facts["encryption"]) or gettext("None")
    if facts.get("said"):
        shown["said"] = _shortened(facts["said"])
    if facts.get("issuer"):
        shown["issuer"] = _authority(facts["issuer"])
    if facts.get("names"):
        shown["names"] = _few(facts["names"].split(", "))
    if facts.get("size", "").isdigit():
        shown["size"] = size_text(int(facts["size"]))
    return shown


def _date(text: str) -> str:
    try:
        return day_text(timezone.localtime(datetime.fromisoformat(text)))
    except ValueError:
        return text


def _shortened(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= SAID_LIMIT else line[: SAID_LIMIT - 1] + "…"


def _authority(issuer: str) -> str:
    """Organisation and name out of a distinguished name; all of it if it has neither."""
    found = {kind: re.sub(r"\\(.)", r"\1", value) for kind, value in _ORGANISATION.findall(issuer)}
    return ", ".join(found[kind] for kind in ("O", "CN") if kind in found) or issuer


def _few(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + ("…" if len(names) > NAMES_SHOWN else "")
