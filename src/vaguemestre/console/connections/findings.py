"""Findings as the page shows them: in words, with a tone and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vaguemestre.mail.phase import Phase
from vaguemestre.policy.finding import Finding, FindingCode, Severity, Who
from vaguemestre.verification.wording import words

TONES = {
    Severity.ERROR: ("bad", "stop"),
    Severity.WARNING: ("wary", "alert"),
    Severity.INFO: ("", "info"),
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
    """The findings in the reader's language, the decisive one first."""
    return [_told(words(finding)) for finding in findings]


def told_again(kept: Iterable[Mapping[str, Any]]) -> list[FindingTold]:
    """The findings of an earlier verification, as the ledger kept them."""
    return told(_finding(finding) for finding in kept)


def _finding(kept: Mapping[str, Any]) -> Finding:
    return Finding(
        code=FindingCode(kept["code"]),
        severity=Severity(kept["severity"]),
        phase=Phase(kept["phase"]) if kept["phase"] else None,
        who=Who(kept["who"]),
        facts=kept["facts"],
    )


def _told(finding: Finding) -> FindingTold:
    texts = words(finding)
    tone, icon = GOOD if finding.code is FindingCode.OK else TONES[finding.severity]
    return FindingTold(texts["what"], texts["why"], texts["remedy"], texts["who"], tone, icon)
