"""From a stored or typed connection to the next hop that a session dials."""

from __future__ import annotations

import platform
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.hop import NextHop


def ehlo_name() -> str:
    """What we call ourselves (RFC 5321 §4.1.1.1): a qualified name where we have one."""
    return _own_name(settings.ENVIRONMENT.base_url)


@lru_cache(maxsize=1)
def _own_name(base_url: str) -> str:
    candidates = (urlsplit(base_url).hostname or "", platform.node())
    qualified = (name for name in candidates if "." in name and not name.replace(".", "").isdigit())
    return next(qualified, "localhost")


def hop(connection: Connection, secret: Secret | None) -> NextHop:
    """The next hop of a connection, saved or not, with the secret to use."""
    return NextHop(
        host=connection.host,
        port=connection.port,
        encryption=Encryption(connection.encryption),
        sender=Mailbox.parse(connection.sender_ascii, "sender_email"),
        auth=AuthKind(connection.auth),
        login=connection.login,
        secret=secret,
        mechanism=connection.mechanism,
        pinned_certificate=connection.pinned_certificate,
        source_address=connection.source_address,
        ehlo_name=ehlo_name(),
    )


def fingerprint(connection: Connection, secret: Secret | None, further: tuple[str, ...] = ()) -> str:
    """Of everything that a verification tests: another value, another fingerprint."""
    fields = (
        connection.host,
        str(connection.port),
        str(connection.encryption),
        str(connection.auth),
        connection.login,
        connection.pinned_certificate,
        connection.source_address,
        connection.sender_ascii,
    )
    return vault.fingerprint((*fields, *further), secret)
