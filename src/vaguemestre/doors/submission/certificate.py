"""The listener's certificate: read at the start, and anew where its files change.

Whoever renews a certificate replaces two files and tells nobody. So before a handshake the files are looked
at, at most once in `LOOK_EVERY` seconds; SIGHUP asks for a look too. Open sessions keep what they have.

Promises: a handshake always finds a certificate that belongs to its key. Files that do not, such as those of
a renewal that is half done, change nothing: the one before stays in use, and the log says so once. So it says
that one ends soon, or has ended, at the start and at the first handshake after each step (`policy.expiry`).
Fails at the start only, by leaving with one sentence.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from vaguemestre.mail.validity import Validity
from vaguemestre.policy.expiry import Notice, notice_of

log = structlog.get_logger("vaguemestre.submission")

LOOK_EVERY = 1.0  # seconds

_ENCRYPTED = "the key is encrypted; store it without a passphrase, readable by the service alone"

type _Stamp = tuple[int, int, int] | None  # of a file; None where it is not there


class Certificate:
    """A chain and its key; without `key`, the key is in the same file.

    Raises:
        SystemExit: what is wrong with the files.
    """

    def __init__(self, chain: Path, key: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._chain, self._key, self._clock = chain, key, clock
        self._stamps = self._look()
        self._looked_at = clock()
        self._told: Notice | None = None
        found = _found(chain, key)
        if isinstance(found, str):
            raise SystemExit(f"VAGUEMESTRE_SUBMISSION_CERTIFICATE: {self._files}: {found}.")
        self._context = found
        self._validity = validity(chain)
        self._heed()

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        if self._clock() - self._looked_at >= LOOK_EVERY:
            self.renew()
        return self._context

    def renew(self) -> None:
        """Read the files, if they are not what they were."""
        self._looked_at = self._clock()
        before, self._stamps = self._stamps, self._look()
        if self._stamps == before:
            self._heed()
            return
        found = _found(self._chain, self._key)
        if isinstance(found, str):
            log.error("certificate_unusable", file=self._files, reason=found, in_use="the one before")
        else:
            self._context, self._validity = found, validity(self._chain)
            log.info("certificate_renewed", file=self._files)
        self._heed()

    def _heed(self) -> None:
        """Tell in the log how near the end is, once for each step."""
        now = datetime.now(UTC)
        notice = None if self._validity is None else notice_of(self._validity, now)
        before, self._told = self._told, notice
        if self._validity is not None and notice is not None and notice is not before:
            ended = notice is Notice.OVER
            log.warning(
                "certificate_ends", file=self._files, at=self._validity.ends_at.isoformat(), ended=ended
            )

    @property
    def _files(self) -> str:
        """Both: which of them is wrong, OpenSSL does not say."""
        return str(self._chain) if self._key is None else f"{self._chain}, {self._key}"

    def _look(self) -> tuple[_Stamp, _Stamp]:
        return _stamp(self._chain), None if self._key is None else _stamp(self._key)

    def __repr__(self) -> str:
        return f"<Certificate {self._chain}>"


def validity(chain: Path) -> Validity | None:
    """From when and until when the chain's first certificate holds; None where that cannot be read."""
    try:
        leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except (OSError, ValueError):
        return None
    return Validity(leaf.not_valid_after_utc, leaf.not_valid_before_utc)


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _found(chain: Path, key: Path | None) -> ssl.SSLContext | str:
    """TLS 1.2 or later with this chain; or what is wrong with the files."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    asked = False

    def password() -> str:
        # Without any OpenSSL asks for one on the terminal, and all sessions would wait for the answer.
        nonlocal asked
        asked = True
        return "-"

    try:
        context.load_cert_chain(chain, key, password)
    except ssl.SSLError:
        return _ENCRYPTED if asked else "it is not a certificate and its key"
    except OSError as error:
        return error.strerror or "it cannot be read"
    return context
