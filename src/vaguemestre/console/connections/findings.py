"""Findings as the page shows them: in words, with a tone and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vaguemestre.policy.finding import Finding, FindingCode, Severity
from vaguemestre.verification.wording import stored_words

TONES = {
    Severity.ERROR.value: ("bad", "stop"),
    Severity.WARNING.value: ("wary", "alert"),
    Severity.INFO.value: ("", "info"),
}
GOOD = ("good", "done")


@dataclass(frozen=True)
class FindingTold:
    """One finding: what, why, what to do, and who."""

    what: str
    why: str
    remedy: str
    who: str
    tone: str
    icon: str


def told(findings: Iterable[Finding]) -> list[FindingTold]:
    """The findings in the reader's language; that it works comes before what may not tomorrow."""
    return told_again(finding.as_json() for finding in findings)


def told_again(kept: Iterable[Mapping[str, Any]]) -> list[FindingTold]:
    """The same for the findings of an earlier verification, as the ledger kept them."""
    return [_told(stored_words(finding)) for finding in sorted(kept, key=_not_ok)]


def _not_ok(finding: Mapping[str, Any]) -> bool:
    return finding.get("code") != FindingCode.OK


def _told(texts: Mapping[str, Any]) -> FindingTold:
    fine = texts["code"] == FindingCode.OK
    tone, icon = GOOD if fine else TONES.get(str(texts["severity"]), TONES[Severity.INFO])
    return FindingTold(texts["what"], texts["why"], texts["remedy"], texts["who_text"], tone, icon)
