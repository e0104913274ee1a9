"""The next hop: everything one session needs to know of a connection.

A value without identity: the session knows no queue and no database. Two hops that differ in any field never
share a session (`pool`).
"""

from __future__ import annotations

from dataclasses import dataclass

from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret


@dataclass(frozen=True)
class NextHop:
    """Where to dial, how to protect it, how to sign in.

    Attributes:
        host: canonical A-label name or an address literal (`mail.host.canonical_host`).
        port: 1 to 65535.
        encryption: required as chosen; never weakened.
        sender: the reverse-path of what this connection carries.
        auth: NONE sends no AUTH at all.
        login: user name for SASL.
        secret: the password; never in a transcript.
        mechanism: of SASL, the only one to sign in with; "" lets the session choose.
        pinned_certificate: SHA-256 of the leaf (hex) or a PEM authority; "" pins nothing.
        source_address: local address to bind; "" lets the system choose.
        ehlo_name: what we call ourselves, RFC 5321 §4.1.1.1.
    """

    host: str
    port: int
    encryption: Encryption
    sender: Mailbox
    auth: AuthKind = AuthKind.NONE
    login: str = ""
    secret: Secret | None = None
    mechanism: str = ""
    pinned_certificate: str = ""
    source_address: str = ""
    ehlo_name: str = "localhost"
