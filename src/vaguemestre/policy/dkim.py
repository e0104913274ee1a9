"""DKIM key records (RFC 6376 §3.6.1, RFC 8463): whether a selector has a key that receivers use."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from vaguemestre.policy import tags

STRONG = 2048  # bits of RSA; RFC 8301 §3.2 wants at least 1024


class KeyState(StrEnum):
    """What a selector's record is good for."""

    GOOD = "good"
    WEAK = "weak"
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
    return Key(selector, KeyState.GOOD if key.key_size >= STRONG else KeyState.WEAK, key.key_size)
