"""The network as the operator's environment sets it: one place for verification and courier (L10).

The environment is checked by then: what it cannot mean is among its `problems`, and allows nothing here.
"""

from __future__ import annotations

from vaguemestre.egress import USUAL_PORTS, Guard, parse_networks, parse_ports
from vaguemestre.environment import Environment
from vaguemestre.smtp.network import Network


def network_from(environment: Environment) -> Network:
    """How this installation reaches servers: the guard's networks and ports, the further authorities."""
    allow = parse_networks(environment.egress_allow)
    ports = parse_ports(environment.egress_ports)
    roots = environment.extra_roots
    return Network(Guard(allow, ports or USUAL_PORTS), roots="" if roots is None else str(roots))
