"""Findings as the page shows them: in words, with a tone and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vaguemestre.console.looks import GOOD, Look, look_of
from vaguemestre.policy.finding import Finding, FindingCode
from vaguemestre.verification.wording import TEXTS, stored_words

ABOUT_ADDRESSES = {code for code, text in TEXTS.items() if "(whitelist)" in text.remedy}


@dataclass(frozen=True)
class FindingTold:
    """One finding: what, why, what to do, and who.

    Attributes:
        about_addresses: whether the list of our addresses is part of the remedy.
        more: the code that its own page goes by; "" where there is none.
    """

    what: str
    why: str
    remedy: str
    who: str
    look: Look
    about_addresses: bool
    more: str


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
    code = str(texts["code"])
    return FindingTold(
        what=texts["what"],
        why=texts["why"],
        remedy=texts["remedy"],
        who=texts["who_text"],
        look=GOOD if fine else look_of(str(texts["severity"]), "severity"),
        about_addresses=code in ABOUT_ADDRESSES,
        more="" if fine or code not in FindingCode else code,
    )
