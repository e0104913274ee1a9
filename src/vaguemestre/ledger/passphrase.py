"""Secrets in a file, under a passphrase: scrypt (RFC 7914) makes a key of it, AES-256-GCM seals each secret.

The parameters and the salt stand in the file. A secret is bound to the values beside it that say where it may
go, as in the vault (L8): a file that was changed to send a password elsewhere opens nothing. Fails with
`Invalid`: the passphrase is short or wrong, the parameters are out of bounds.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

LEAST = 12  # characters of a passphrase
COST, BLOCK, LANES = 2**15, 8, 1  # 32 MiB and about 0.1 s
_COSTS = frozenset(2**exponent for exponent in range(10, 19))  # of a file: it must not eat all memory
_SALT = 16
_NONCE = 12  # bytes, NIST SP 800-38D §8.2
_KEY = 32
_FORM = {"kdf": "scrypt", "cipher": "AES-256-GCM"}


@dataclass(frozen=True)
class Seal:
    """A key made of a passphrase, with what made it."""

    salt: bytes
    cost: int
    block: int
    lanes: int
    _key: Secret

    @classmethod
    def new(cls, passphrase: Secret) -> Seal:
        """For a new file.

        Raises:
            Invalid: code `passphrase_short`.
        """
        if len(passphrase.reveal()) < LEAST:
            message = f"Give a passphrase of at least {LEAST} characters."
            raise Invalid("passphrase", "passphrase_short", message, {"least": LEAST})
        return cls._of(passphrase, os.urandom(_SALT), COST, BLOCK, LANES)

    @classmethod
    def of(cls, parameters: object, passphrase: Secret) -> Seal:
        """For a file with these parameters.

        Raises:
            Invalid: code `seal_syntax`.
        """
        wrong = Invalid("secrets", "seal_syntax", "The file's parameters of encryption cannot be used.")
        if not isinstance(parameters, Mapping) or parameters.keys() != {*_FORM, "n", "r", "p", "salt"}:
            raise wrong
        numbers = [parameters[name] for name in ("n", "r", "p")]
        sound = all(type(number) is int for number in numbers) and numbers[0] in _COSTS
        if not sound or not (1 <= numbers[1] <= 16 and 1 <= numbers[2] <= 4):
            raise wrong
        if any(parameters[name] != value for name, value in _FORM.items()):
            raise wrong
        return cls._of(passphrase, _bytes(parameters["salt"], wrong), *numbers)

    @classmethod
    def _of(cls, passphrase: Secret, salt: bytes, cost: int, block: int, lanes: int) -> Seal:
        made = Scrypt(salt=salt, length=_KEY, n=cost, r=block, p=lanes).derive(passphrase.reveal().encode())
        return cls(salt, cost, block, lanes, Secret(made.hex()))

    @property
    def parameters(self) -> dict[str, Any]:
        """What the file says of it."""
        return {**_FORM, "n": self.cost, "r": self.block, "p": self.lanes, "salt": _text(self.salt)}

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


def _binding(bound_to: object) -> bytes:
    return json.dumps(bound_to, sort_keys=True, separators=(",", ":")).encode()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _bytes(text: object, wrong: Invalid) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
