"""Which refused certificates may be offered for pinning: those that are what they should be, and that only we
do not know, or not by that name.

Not where something in between is suspected, and not where our clock may be wrong.
"""

from __future__ import annotations

from dataclasses import replace

from vaguemestre.policy.finding import FindingCode
from vaguemestre.smtp.certificate import Certificate
from vaguemestre.verification.outcome import Outcome

_LEAF = frozenset(
    {
        FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY,
        FindingCode.CERTIFICATE_SELF_SIGNED,
        FindingCode.CERTIFICATE_WRONG_NAME,
        FindingCode.CERTIFICATE_EXPIRED,
        FindingCode.CERTIFICATE_CHANGED,
    }
)
_AUTHORITY = frozenset({FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY, FindingCode.CERTIFICATE_CHANGED})


def pinnable(outcome: Outcome) -> Certificate | None:
    """The certificate to offer, its authority only where pinning that would help; None for nothing."""
    decisive, presented = outcome.findings[0].code, outcome.presented
    if presented is None or decisive not in _LEAF:
        return None
    return presented if decisive in _AUTHORITY else replace(presented, authority=None)
