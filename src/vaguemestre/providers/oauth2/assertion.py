"""What a service account signs to be given a token for a person of its domain: a JWT (RFC 7519, RFC 7523 §3)
under RS256 (RFC 7518 §3.3), and the reading of what a token shows.

`key_of` and `assertion` fail with `BadKey`.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account

LIFE = timedelta(minutes=10)  # Google takes an hour at most
_LEEWAY = timedelta(seconds=10)  # clocks differ


class BadKey(Exception):
    """The private key is none, or not one that RS256 can sign with."""


def key_of(secret: Secret) -> RSAPrivateKey:
    """The private key in a PEM text."""
    try:
        key = load_pem_private_key(secret.reveal().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:  # RFC 7518 §3.3
        raise BadKey
    return key


def assertion(account: Account, secret: Secret, key_id: str, now: datetime) -> str:
    """The signed request of the account."""
    header = {"alg": "RS256", "typ": "JWT", **({"kid": key_id} if key_id else {})}
    said = {
        "iss": account.issuer,
        "sub": account.subject,
        "scope": account.scope,
        "aud": account.token_endpoint,
        "iat": int((now - _LEEWAY).timestamp()),
        "exp": int((now + LIFE).timestamp()),
    }
    signed = f"{_part(header)}.{_part(said)}"
    return f"{signed}.{_text(key_of(secret).sign(signed.encode(), PKCS1v15(), SHA256()))}"


def claims(token: str) -> dict[str, Any]:
    """What a JWT says, unchecked; nothing where the token is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
