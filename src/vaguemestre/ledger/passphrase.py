"""Secrets in a file, under a passphrase: scrypt (RFC 7914) makes a key of it, AES-256-GCM seals each secret.

The parameters and the salt stand in the file; others than ours are refused, for whoever writes a file must
not choose how much memory its import takes. A passphrase is the same however its letters were composed (NFC).
A secret is bound to the values beside it that say where it may go, as in the vault (L8): a file that was
changed to send a password elsewhere opens nothing.

Fails with `Invalid`: the passphrase is short or wrong, the parameters are not ours.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

LEAST = 12  # characters of a passphrase
_SALT = 16
_NONCE = 12  # bytes, NIST SP 800-38D §8.2
_KEY = 32
_COST, _BLOCK, _LANES = 2**15, 8, 1  # 32 MiB and about 0.1 s
_FORM = {"kdf": "scrypt", "cipher": "AES-256-GCM", "n": _COST, "r": _BLOCK, "p": _LANES}
_OTHERS = (
    "The file's secrets are encrypted otherwise than this version does it"
    f" ({', '.join(f'{name} {value}' for name, value in _FORM.items())}, a salt of {_SALT} bytes): export it"
    " again with this version, or leave the secrets out."
)


@dataclass(frozen=True)
class Seal:
    """A key made of a passphrase, with what made it."""

    salt: bytes
    _key: Secret

    @classmethod
    def new(cls, passphrase: Secret) -> Seal:
        """For a new file.

        Raises:
            Invalid: code `passphrase_short`.
        """
        if len(_composed(passphrase)) < LEAST:
            message = f"Give a passphrase of at least {LEAST} characters."
            raise Invalid("passphrase", "passphrase_short", message, {"least": LEAST})
        return cls._of(passphrase, os.urandom(_SALT))

    @classmethod
    def of(cls, parameters: object, passphrase: Secret) -> Seal:
        """For a file with these parameters.

        Raises:
            Invalid: code `seal_syntax`.
        """
        wrong = Invalid("secrets", "seal_syntax", _OTHERS, dict(_FORM))
        if not isinstance(parameters, Mapping) or parameters.keys() != {*_FORM, "salt"}:
            raise wrong
        salt = _bytes(parameters["salt"], wrong)
        ours = {name: parameters[name] for name in _FORM} == _FORM
        if not ours or len(salt) != _SALT:
            raise wrong
        return cls._of(passphrase, salt)

    @classmethod
    def _of(cls, passphrase: Secret, salt: bytes) -> Seal:
        kdf = Scrypt(salt=salt, length=_KEY, n=_COST, r=_BLOCK, p=_LANES)
        return cls(salt, Secret(kdf.derive(_composed(passphrase).encode()).hex()))

    @property
    def parameters(self) -> dict[str, Any]:
        """What the file says of it."""
        return {**_FORM, "salt": _text(self.salt)}

    def close(self, words: Mapping[str, str], bound_to: object) -> str:
        """Secrets by name, sealed as one text."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher().encrypt(nonce, json.dumps(words).encode(), _binding(bound_to))
        return _text(nonce + sealed)

    def open(self, sealed: object, bound_to: object) -> dict[str, str]:
        """The secrets again.

        Raises:
            Invalid: code `passphrase_wrong`.
        """
        message = "This passphrase does not open the file's secrets, or the file was changed."
        wrong = Invalid("passphrase", "passphrase_wrong", message)
        octets = _bytes(sealed, wrong)
        try:
            opened = self._cipher().decrypt(octets[:_NONCE], octets[_NONCE:], _binding(bound_to))
        except (InvalidTag, ValueError):
            raise wrong from None
        words: dict[str, str] = json.loads(opened)
        return words

    def _cipher(self) -> AESGCM:
        return AESGCM(bytes.fromhex(self._key.reveal()))


def _composed(passphrase: Secret) -> str:
    """A Mac may type an accent as a letter of its own, where others type one with its letter (UAX 15)."""
    return unicodedata.normalize("NFC", passphrase.reveal())


def _binding(bound_to: object) -> bytes:
    return json.dumps(bound_to, sort_keys=True, separators=(",", ":")).encode()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _bytes(text: object, wrong: Invalid) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
