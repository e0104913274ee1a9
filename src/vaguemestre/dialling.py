"""The network as the operator's environment sets it: one place for verification and courier (L10).

It fails with `Invalid` where the environment's networks or ports cannot be read.
"""

from __future__ import annotations

from vaguemestre.egress import USUAL_PORTS, Guard, parse_networks, parse_ports
from vaguemestre.environment import PREFIX, Environment
from vaguemestre.smtp.network import Network


def network_from(environment: Environment) -> Network:
    """How this installation reaches servers: the guard's networks and ports, the further authorities.

    Raises:
        Invalid: code `network_syntax` or `ports_syntax`, naming the variable.
    """
    allow = parse_networks(environment.egress_allow, f"{PREFIX}EGRESS_ALLOW")
    ports = parse_ports(environment.egress_ports, f"{PREFIX}EGRESS_PORTS")
    roots = environment.extra_roots
    return Network(Guard(allow, ports or USUAL_PORTS), roots="" if roots is None else str(roots))
