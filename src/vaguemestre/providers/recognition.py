"""Which provider an address belongs to, and why: pure choices over what was found about its domain.

In this order: the domain itself, who receives its mail (MX), what it publishes for mail programs (SRV of
RFC 6186 §3.1 and RFC 8314 §5.1), its autoconfig document. Each answer is a proposal with its evidence, for a
person to confirm: RFC 6186 §4 asks for that where a server lies outside the domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port
from vaguemestre.providers.preset import Login, Preset, Server, preset_of_host, presets


class Why(StrEnum):
    """What a proposal rests on."""

    DOMAIN = "domain"
    MX = "mx"
    SRV = "srv"
    AUTOCONFIG = "autoconfig"


@dataclass(frozen=True)
class Proposal:
    """Settings for an address, and what they rest on.

    Attributes:
        evidence: the domain, the MX host, the SRV name or the document's address.
        preset: the provider, where it is one that we know.
        login: where the domain's own document says what it is.
    """

    why: Why
    evidence: str
    server: Server
    preset: Preset | None = None
    login: Login | None = None


@dataclass(frozen=True)
class Service:
    """An SRV record (RFC 2782) of `_submissions._tcp` (implicit TLS) or `_submission._tcp` (STARTTLS)."""

    name: str
    encryption: Encryption
    priority: int
    weight: int
    port: int
    target: str


def by_domain(domain: str) -> Proposal | None:
    """A provider whose mailboxes are at this domain, or above it."""
    found = _longest(domain, ((name, one) for one in presets().values() for name in one.domains))
    return None if found is None else Proposal(Why.DOMAIN, domain, found.server, found)


def by_mx(hosts: Iterable[str]) -> Proposal | None:
    """A provider that receives the domain's mail; the most preferred host decides."""
    names = [(name, one) for one in presets().values() for name in one.mx]
    for host in hosts:
        found = _longest(host, names)
        if found is not None:
            return Proposal(Why.MX, host, found.server, found)
    return None


def by_services(services: Iterable[Service]) -> Proposal | None:
    """What the domain publishes: implicit TLS before STARTTLS (RFC 8314 §3.3), then as RFC 2782 orders.

    A target of "." says that there is no such service.
    """
    offered = [service for service in services if service.target not in {"", "."}]
    offered.sort(key=lambda one: (one.encryption != Encryption.SSL, one.priority, -one.weight))
    for service in offered:
        server = _server(service.target, service.port, service.encryption)
        if server is not None:
            return Proposal(Why.SRV, service.name, server, preset_of_host(server.host))
    return None


def by_document(servers: Sequence[tuple[Server, Login | None]], address: str) -> Proposal | None:
    """What the domain's autoconfig document says; its first server that is encrypted."""
    for server, login in servers:
        if server.encryption != Encryption.NONE:
            return Proposal(Why.AUTOCONFIG, address, server, preset_of_host(server.host), login)
    return None


def _server(host: str, port: int, encryption: Encryption) -> Server | None:
    try:
        return Server(canonical_host(host), valid_port(port), encryption)
    except Invalid:
        return None


def _longest(host: str, names: Iterable[tuple[str, Preset]]) -> Preset | None:
    """The preset with the longest name that `host` is, or lies below."""
    fitting = [(len(name), one) for name, one in names if host == name or host.endswith(f".{name}")]
    return max(fitting, key=lambda pair: pair[0], default=(0, None))[1]
