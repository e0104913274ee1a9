"""Files of certificates and keys as the environment names them: loaded once, as who uses them later will.

Nothing is dialled, and nothing is asked for on a terminal. Nothing here fails: a file that is no such one, or
cannot be read, has none.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def has_certificates(path: Path) -> bool:
    """Whether it is a PEM file with at least one certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ValueError):
        return False
    return True


def has_key(chain: Path, key: Path | None) -> bool:
    """Whether `key`, else `chain` itself, holds the chain's key, without a password."""
    try:
        # A password that is never right: without one OpenSSL asks for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="-")  # noqa: S106
    except (OSError, ValueError):
        return False
    return True
