"""How a connection's server is reached: encryption, kind of authentication, usual ports.

The names on the form are the mission's: SSL is TLS from the first byte (RFC 8314 §3.3), TLS is STARTTLS
(RFC 3207), required and never opportunistic.
"""

from __future__ import annotations

from enum import StrEnum


class Encryption(StrEnum):
    """What protects a session. There is no opportunistic mode."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"

    @property
    def usual_port(self) -> int:
        """The port that follows the encryption on the form."""
        return {Encryption.SSL: 465, Encryption.STARTTLS: 587, Encryption.NONE: 25}[self]


class AuthKind(StrEnum):
    """How a connection signs in."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105  the kind's name, no secret
    OAUTH2 = "oauth2"
