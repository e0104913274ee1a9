"""Signatures of what is posted to other programs, as Standard Webhooks has them (HMAC-SHA256, `v1`).

A receiver that knows the key can tell that a post is ours, unchanged and recent. A key is written as
`whsec_` and base64 of 24 to 64 octets. Where the operator sets none, one is derived from the installation's
secret key, so that nothing is ever posted unsigned. Keys stand in no repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre.mail.secret import Secret

_PREFIX = "whsec_"
_PURPOSE = b"vaguemestre: signature of alerts"


@dataclass(frozen=True)
class SigningKey:
    """See the module."""

    octets: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """The key of its written form.

        Raises:
            ValueError: it is none.
        """
        try:
            octets = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("not base64") from None
        if not text.startswith(_PREFIX) or not 24 <= len(octets) <= 64:
            raise ValueError("not a key")
        return cls(octets)

    @classmethod
    def derived(cls, secret: Secret) -> SigningKey:
        """The key of an installation that sets none."""
        return cls(hmac.digest(secret.reveal().encode(), _PURPOSE, hashlib.sha256))

    @property
    def written(self) -> str:
        """For the receiver, and for nobody else."""
        return _PREFIX + base64.b64encode(self.octets).decode()

    def headers(self, message: str, at: datetime, body: bytes) -> dict[str, str]:
        """The header fields of a post.

        Args:
            message: its id, the same when it is tried again.
            at: when it is posted.
            body: its octets.
        """
        timestamp = str(int(at.timestamp()))
        signed = hmac.digest(self.octets, f"{message}.{timestamp}.".encode() + body, hashlib.sha256)
        return {
            "webhook-id": message,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
