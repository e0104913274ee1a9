"""DMARC records (RFC 7489 §6.3): what a domain wants done with mail that is not proven to be its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from vaguemestre.policy import tags
from vaguemestre.policy.tags import Malformed

__all__ = ["Malformed", "Policy", "Record", "is_record", "parse"]

_VERSION = re.compile(r"v\s*=\s*DMARC1\s*(?:;|$)")


class Policy(StrEnum):
    """What is asked of receivers."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        policy: for the domain itself.
        below: for its subdomains.
        public_suffix: whether everybody may register names below it; it is nobody's own domain then.
    """

    text: str
    policy: Policy
    below: Policy
    public_suffix: bool = False


def is_record(text: str) -> bool:
    """Whether a TXT record is one of DMARC at all."""
    return _VERSION.match(text.lstrip()) is not None


def parse(text: str) -> Record:
    """A record. One without a policy that tells where to report counts as `none` (RFC 7489 §6.6.3).

    Raises:
        Malformed: it cannot be used.
    """
    found = tags.parse(text)
    if "p" not in found and "rua" in found:
        found["p"] = "none"
    try:
        policy = Policy(found["p"].lower())
        below = Policy(found.get("sp", policy.value).lower())
    except (KeyError, ValueError):
        raise Malformed from None
    return Record(text, policy, below, found.get("psd", "").lower() == "y")
