"""What the listener works under: its name, limits, TLS and trusted networks, and what it knows of a peer.

Values only; `listener` makes them from the environment, tests as they like.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from vaguemestre.doors.submission.limits import Limits
from vaguemestre.environment import Environment
from vaguemestre.spelling import Network


@dataclass(frozen=True)
class Terms:
    """The same for every session.

    Attributes:
        name: what the listener calls itself in greeting and EHLO.
        limits: see there.
        trust: networks that submit without AUTH.
        tls: gives the next handshake its certificate, where one is configured.
    """

    name: str
    limits: Limits = field(default_factory=Limits)
    trust: tuple[Network, ...] = ()
    tls: Callable[[], ssl.SSLContext] | None = None


def dead_end(environment: Environment) -> str | None:
    """What to tell an operator whose listener is there for other machines that can hand over nothing."""
    bind, trust = environment.submission_bind, environment.submission_trust
    if environment.submission_certificate is not None or ip_address(bind.host).is_loopback:
        return None
    if not all(network.is_loopback for network in trust):
        return None
    return (
        f"VAGUEMESTRE_SUBMISSION_BIND: other machines reach {bind}, but can hand over nothing. Set "
        "VAGUEMESTRE_SUBMISSION_CERTIFICATE and _KEY, since signing in needs TLS, or "
        "VAGUEMESTRE_SUBMISSION_TRUST."
    )


@dataclass(frozen=True)
class Peer:
    """The other end of a session."""

    address: IPv4Address | IPv6Address

    @classmethod
    def at(cls, text: str) -> Peer:
        """The peer at an address as the socket gives it; `::ffff:192.0.2.1` is 192.0.2.1."""
        address = ip_address(text.partition("%")[0])
        return cls(getattr(address, "ipv4_mapped", None) or address)

    @property
    def loopback(self) -> bool:
        """Whether nothing between us can read along."""
        return self.address.is_loopback

    def within(self, networks: tuple[Network, ...]) -> bool:
        """Whether one of the networks holds it."""
        return any(self.address in network for network in networks)

    @property
    def literal(self) -> str:
        """As EHLO shows it: `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
        return f"[IPv6:{self.address}]" if self.address.version == 6 else f"[{self.address}]"

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return str(self.address)
