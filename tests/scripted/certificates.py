"""Certificates for scripted servers: a good authority, and every way a certificate can be wrong.

`Authority` is made once per test run (`the_authority()`), since keys cost time. A `Certificate` is what a server
presents; `context()` makes its server-side context.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A chain and its key, in PEM."""

    pem: bytes
    key: bytes

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(x509_pem(self.pem))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf in hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def ends_at(self) -> dt.datetime:
        """When the leaf ends."""
        return x509.load_der_x509_certificate(self.der).not_valid_after_utc

    def context(self) -> ssl.SSLContext:
        """A server-side context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Security level 0 lets the server present what a client must refuse.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with tempfile.TemporaryDirectory() as folder:
            chain, key = self.write(Path(folder))
            context.load_cert_chain(chain, key)
        return context

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The paths of chain and key, written into `folder`."""
        chain, key = folder / "chain.pem", folder / "key.pem"
        chain.write_bytes(self.pem)
        key.write_bytes(self.key)
        return chain, key


def x509_pem(chain: bytes) -> str:
    """The leaf's own PEM block out of a chain."""
    end = b"-----END CERTIFICATE-----"
    return (chain[: chain.index(end)] + end + b"\n").decode()


class Authority:
    """An authority that a test trusts, and what it signs."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.pem: bytes = self.ca.cert_pem.bytes()

    def write(self, folder: Path) -> Path:
        """The path of the authority's PEM, written into `folder`."""
        path = folder / "authority.pem"
        path.write_bytes(self.pem)
        return path

    def certificate(self, *names: str) -> Certificate:
        """A good one for the names, or addresses; `localhost` and 127.0.0.1 if none is given."""
        return _from_trustme(self.ca.issue_cert(*(names or ("localhost", "127.0.0.1"))))

    def expired(self, *names: str) -> Certificate:
        """Valid until yesterday."""
        now = dt.datetime.now(dt.UTC)
        leaf = self.ca.issue_cert(*(names or ("localhost",)), not_before=now - 30 * DAY, not_after=now - DAY)
        return _from_trustme(leaf)

    def not_yet_valid(self, *names: str) -> Certificate:
        """Valid from tomorrow on."""
        now = dt.datetime.now(dt.UTC)
        leaf = self.ca.issue_cert(*(names or ("localhost",)), not_before=now + DAY, not_after=now + 30 * DAY)
        return _from_trustme(leaf)


def _from_trustme(leaf: trustme.LeafCert) -> Certificate:
    return Certificate(b"".join(blob.bytes() for blob in leaf.cert_chain_pems), leaf.private_key_pem.bytes())


def self_signed(*names: str, weak: bool = False) -> Certificate:
    """Signed by itself; `weak` has an RSA key of 1,024 bits."""
    key = rsa.generate_private_key(65537, 1024) if weak else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-signed.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 30 * DAY)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names or ("localhost",)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


@cache
def the_authority() -> Authority:
    """The one authority of this test run."""
    return Authority()


@cache
def the_certificate() -> Certificate:
    """Its certificate for localhost, 127.0.0.1 and ::1."""
    return the_authority().certificate("localhost", "127.0.0.1", "::1")
