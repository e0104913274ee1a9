"""The whitelist in the words of whoever has to put it somewhere.

Only addresses in use that day are exported. One that is announced for later stands in a comment with its day,
where the form has comments. A label never leaves: it is ours, and no form may be broken by one. Pure; nothing
fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from vaguemestre.policy.whitelist import Entry

_CONNECTOR = "Vaguemestre"
_LOOPBACK = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"  # what mynetworks must not lose


class Form(StrEnum):
    """Of an export."""

    PLAIN = "plain"
    CIDR = "cidr"
    NFTABLES = "nftables"
    POSTFIX = "postfix"
    MICROSOFT365 = "microsoft365"
    SPF = "spf"


@dataclass(frozen=True)
class _Addresses:
    """Of one day: those in use, and those announced for later with their day."""

    used: tuple[IPv4Address | IPv6Address, ...]
    announced: tuple[str, ...]

    @property
    def four(self) -> list[str]:
        return [str(address) for address in self.used if address.version == 4]

    @property
    def six(self) -> list[str]:
        return [str(address) for address in self.used if address.version == 6]


def exported(form: Form, entries: Iterable[Entry], today: date) -> str:
    """The list in that form; "" where it holds nothing that is in use."""
    listed = list(entries)
    used = tuple(ip_address(entry.address) for entry in listed if entry.valid(today))
    announced = tuple(
        f"# from {entry.valid_from}: {entry.address}" for entry in listed if not entry.begun(today)
    )
    return "\n".join(_LINES[form](_Addresses(used, announced))) if used else ""


def _plain(found: _Addresses) -> list[str]:
    return [str(address) for address in found.used]


def _cidr(found: _Addresses) -> list[str]:
    return [f"{address}/{address.max_prefixlen}" for address in found.used]


def _nftables(found: _Addresses) -> list[str]:
    """Two named sets, for `include` in a ruleset of its own making."""
    lines = list(found.announced)
    for family, field, addresses in (("4", "ip", found.four), ("6", "ip6", found.six)):
        if addresses:
            lines.append(f"define mail_sources_{family} = {{ {', '.join(addresses)} }}")
            lines.append(
                f"# in the input chain: {field} saddr $mail_sources_{family}"
                " tcp dport { 25, 465, 587 } accept"
            )
    return lines


def _postfix(found: _Addresses) -> list[str]:
    """For main.cf: postconf(5), mynetworks; an IPv6 address stands in brackets."""
    networks = [*(f"{one}/32" for one in found.four), *(f"[{one}]/128" for one in found.six)]
    return [
        "# These may send to anywhere without a login. Keep what your mynetworks holds besides.",
        *found.announced,
        f"mynetworks = {_LOOPBACK} {' '.join(networks)}",
    ]


def _microsoft365(found: _Addresses) -> list[str]:
    """For Exchange Online PowerShell; a connector takes IPv4 addresses only."""
    if not found.four:
        return ["# Connectors of Microsoft 365 take IPv4 addresses only, and there is none."]
    senders = ",".join(found.four)
    return [
        *found.announced,
        "Connect-ExchangeOnline",
        "# The first time:",
        (
            f'New-InboundConnector -Name "{_CONNECTOR}" -ConnectorType OnPremises -SenderDomains *'
            f" -SenderIPAddresses {senders} -RequireTls $true -Enabled $true"
        ),
        "# Later, when the list has changed:",
        f'Set-InboundConnector -Identity "{_CONNECTOR}" -SenderIPAddresses {senders}',
    ]


def _spf(found: _Addresses) -> list[str]:
    return [" ".join(mechanisms(map(str, found.used)))]


def mechanisms(addresses: Iterable[str]) -> list[str]:
    """Of an SPF record (RFC 7208 §5.6), one for each address."""
    return [f"ip{ip_address(address).version}:{address}" for address in addresses]


_LINES: dict[Form, Callable[[_Addresses], list[str]]] = {
    Form.PLAIN: _plain,
    Form.CIDR: _cidr,
    Form.NFTABLES: _nftables,
    Form.POSTFIX: _postfix,
    Form.MICROSOFT365: _microsoft365,
    Form.SPF: _spf,
}
