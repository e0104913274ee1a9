"""The network as the operator's environment sets it: one place for whoever dials (L10).

The environment is checked by then: what it cannot mean is among its `problems`, and allows nothing here.
"""

from __future__ import annotations

from vaguemestre.egress import USUAL_PORTS, Guard, Ports, parse_networks, parse_ports
from vaguemestre.environment import Environment
from vaguemestre.http_transport import USUAL_HTTP_PORTS, HttpTransport
from vaguemestre.providers.discovery import Discovery
from vaguemestre.smtp.network import Network


def network_from(environment: Environment) -> Network:
    """How this installation reaches servers: the guard's networks and ports, the further authorities."""
    allow = parse_networks(environment.egress_allow)
    ports = parse_ports(environment.egress_ports)
    roots = environment.extra_roots
    return Network(Guard(allow, ports or USUAL_PORTS), roots="" if roots is None else str(roots))


def http_from(environment: Environment) -> HttpTransport:
    """How this installation reaches web servers: the guard's networks, the usual ports and the operator's."""
    alerts, roots = environment.alert_url, environment.extra_roots
    ports = USUAL_HTTP_PORTS | parse_ports(environment.egress_ports)
    ports |= Ports() if alerts is None else Ports.of(alerts.port)
    guard = Guard(parse_networks(environment.egress_allow), ports)
    return HttpTransport(guard, roots="" if roots is None else str(roots))


def discovery_from(environment: Environment) -> Discovery:
    """How this installation finds out how an address's mail is sent; web servers only where it is allowed."""
    transport = http_from(environment) if environment.autoconfig else None
    return Discovery(environment.resolvers, transport)
