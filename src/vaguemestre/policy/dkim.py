"""DKIM key records (RFC 6376 §3.6.1, RFC 8463): whether a selector has a key that receivers use."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from vaguemestre.policy import tags

STRONG, LEAST = 2048, 1024  # bits of RSA; below the least nobody heeds it (RFC 8301 §3.2)
_OTHER = re.compile(
    r"\s*(?:v=(?:spf1|DMARC1|STSv1|TLSRPTv1)\b|[\w.-]{0,60}verification[\w-]{0,60}=|MS=ms)", re.IGNORECASE
)


class KeyState(StrEnum):
    """What a selector's record is good for."""

    GOOD = "good"
    WEAK = "weak"
    TOO_SHORT = "too_short"
    REVOKED = "revoked"
    MALFORMED = "malformed"


@dataclass(frozen=True)
class Key:
    """A selector's record.

    Attributes:
        bits: of an RSA key; 0 otherwise.
    """

    selector: str
    state: KeyState
    bits: int = 0


def is_record(text: str) -> bool:
    """Whether a TXT record may be meant as a key: one that is of another kind answers for every name below a
    domain (`*.example.org`), and says nothing of a selector.
    """
    return _OTHER.match(text) is None


def key_of(selector: str, text: str) -> Key:
    """What a TXT record says."""
    try:
        found = tags.parse(text)
        octets = base64.b64decode("".join(found["p"].split()), validate=True)
    except (tags.Malformed, KeyError, binascii.Error):
        return Key(selector, KeyState.MALFORMED)
    if found.get("v", "DKIM1") != "DKIM1":
        return Key(selector, KeyState.MALFORMED)
    if not octets:
        return Key(selector, KeyState.REVOKED)
    if found.get("k", "rsa").lower() == "ed25519":
        return Key(selector, KeyState.GOOD if len(octets) == 32 else KeyState.MALFORMED)
    return _rsa(selector, octets)


def _rsa(selector: str, octets: bytes) -> Key:
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return Key(selector, KeyState.MALFORMED)
    if not isinstance(key, RSAPublicKey):
        return Key(selector, KeyState.MALFORMED)
    if key.key_size < LEAST:
        return Key(selector, KeyState.TOO_SHORT, key.key_size)
    return Key(selector, KeyState.GOOD if key.key_size >= STRONG else KeyState.WEAK, key.key_size)
