"""What a session's TLS is, and what a certificate says of itself: for people, and for pinning.

The texts of a certificate are its maker's; they are made safe here. A certificate that cannot be read still
has its fingerprint.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from vaguemestre.mail.reply import printable
from vaguemestre.mail.validity import Validity

_NAMES_SHOWN = 20
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_TEXT_LIMIT = 250


@dataclass(frozen=True)
class Certificate:
    """A leaf certificate's facts.

    Attributes:
        fingerprint: SHA-256 of the DER form, lower-case hexadecimal: what a pin compares.
        names: DNS names and addresses it is for; the common name if it has none.
        subject, issuer: as one line of text.
        not_before, not_after: ISO 8601 in UTC; "" if unreadable.
        pem: what a pin of an authority holds; "" for a leaf that nobody asked to see.
        authority: the topmost one that the server itself named, and that really signed; None for none.
    """

    fingerprint: str
    names: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""
    pem: str = ""
    authority: Certificate | None = None

    @classmethod
    def parse(cls, der: bytes) -> Certificate:
        """The facts of a DER certificate; never fails."""
        fingerprint = hashlib.sha256(der).hexdigest()
        try:
            leaf = x509.load_der_x509_certificate(der)
            return cls(
                fingerprint,
                _names(leaf),
                _shown(leaf.subject.rfc4514_string()),
                _shown(leaf.issuer.rfc4514_string()),
                leaf.not_valid_before_utc.isoformat(),
                leaf.not_valid_after_utc.isoformat(),
            )
        except Exception:  # noqa: BLE001  a foreign certificate may break the parser in any way
            return cls(fingerprint)

    @classmethod
    def presented(cls, chain: Sequence[bytes]) -> Certificate:
        """A leaf with the authority that its server sent along, both in DER; never fails."""
        leaf = cls.parse(chain[0] if chain else b"")
        try:
            top = _topmost([x509.load_der_x509_certificate(der) for der in chain])
            if top is None:
                return leaf
            der, pem = top.public_bytes(Encoding.DER), top.public_bytes(Encoding.PEM)
            return replace(leaf, authority=replace(cls.parse(der), pem=pem.decode("ascii")))
        except Exception:  # noqa: BLE001  as above
            return leaf

    @property
    def validity(self) -> Validity | None:
        """None if it is unreadable."""
        if not self.not_after:
            return None
        return Validity(datetime.fromisoformat(self.not_after), datetime.fromisoformat(self.not_before))

    def facts(self) -> dict[str, str]:
        """For `Trouble.facts`."""
        found = {
            "names": ", ".join(self.names),
            "subject": self.subject,
            "issuer": self.issuer,
            "valid_from": self.not_before,
            "expired_at": self.not_after,
            "fingerprint": self.fingerprint,
        }
        return {name: text for name, text in found.items() if text}


def _topmost(chain: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Up from the leaf, from signer to signer, as far as the chain goes."""
    current, others = chain[0], list(chain[1:])
    while (signer := next((one for one in others if _signed(current, one)), None)) is not None:
        others.remove(signer)
        current = signer
    return None if current is chain[0] else current


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return is_authority(by)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others (RFC 5280 §4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


@lru_cache(maxsize=64)
def leaf_pinned(pin: str) -> str:
    """The fingerprint of the server's own certificate, where a pin means that one; "" where it pins an
    authority, or nothing.

    It is written as such, perhaps with colons and in capitals, or is that of a certificate in PEM.
    """
    if "BEGIN CERTIFICATE" not in pin:
        bare = pin.replace(":", "").strip().lower()
        return bare if _FINGERPRINT.fullmatch(bare) else ""
    try:
        (certificate,) = x509.load_pem_x509_certificates(pin.encode())
    except ValueError:
        return ""
    return "" if is_authority(certificate) else certificate.fingerprint(hashes.SHA256()).hex()


def _shown(text: str) -> str:
    return printable(text, _TEXT_LIMIT).replace("\n", " ")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        value = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(_shown(str(attribute.value)) for attribute in common)
    if not isinstance(value, x509.SubjectAlternativeName):
        return ()
    names = [*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))]
    return tuple(_shown(name) for name in names[:_NAMES_SHOWN])


@dataclass(frozen=True)
class Tls:
    """How a session is protected.

    Attributes:
        version: such as `TLSv1.3`.
        cipher: OpenSSL's name of the suite.
        certificate: the server's.
    """

    version: str
    cipher: str
    certificate: Certificate

    @property
    def expires_at(self) -> str:
        """When the server's certificate ends, ISO 8601."""
        return self.certificate.not_after

    @property
    def names(self) -> tuple[str, ...]:
        """Whom the certificate is for."""
        return self.certificate.names

    @property
    def issuer(self) -> str:
        """Who signed it."""
        return self.certificate.issuer

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}, certificate until {self.expires_at[:10]}"
