"""The whitelist: the addresses that mail is announced to leave from, and what a server saw beside it.

What a server tells is shown and compared, never trusted further: it is an address or it is nothing. An
address of a private network says that a NAT or a container stands between, or that the server is a neighbour;
it is no alarm. Pure; nothing fails here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

# Of networks that no whitelist on the internet can name: RFC 1918, 6598, 3927, 4193, 4291.
_INNER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)


class Standing(StrEnum):
    """What is to be said of an address that a server saw."""

    LISTED = "listed"
    UNLISTED = "unlisted"  # the alarm
    INNER = "inner"  # of a private network: a NAT, a container, a neighbour
    NOTHING_LISTED = "nothing_listed"  # there is no list to compare with


@dataclass(frozen=True)
class Entry:
    """An address of the list.

    Attributes:
        valid_from: the first day of its use; None for always.
        valid_until: the last one.
    """

    address: str
    label: str = ""
    valid_from: date | None = None
    valid_until: date | None = None

    def valid(self, today: date) -> bool:
        """Whether mail may leave from it that day."""
        return self.begun(today) and not self.over(today)

    def begun(self, today: date) -> bool:
        """Whether its use has begun."""
        return self.valid_from is None or self.valid_from <= today

    def over(self, today: date) -> bool:
        """Whether its use has ended."""
        return self.valid_until is not None and self.valid_until < today


def plausible(text: str | None) -> str | None:
    """The address in its usual form, if a session can come from it at all."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    never = address.is_unspecified or address.is_multicast or address in _RESERVED
    return None if never else str(address)


_RESERVED = ipaddress.ip_network("240.0.0.0/4")


def inner(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is of a private network."""
    return any(address in network for network in _INNER)


def standing(address: str, entries: Iterable[Entry], seen_on: date, today: date) -> Standing:
    """What is to be said of an address that a server saw last on that day."""
    listed = list(entries)
    named = [entry for entry in listed if entry.address == address]
    if any(entry.valid(today) or entry.valid(seen_on) for entry in named):
        return Standing.LISTED
    if inner(ipaddress.ip_address(address)):
        return Standing.INNER
    return Standing.UNLISTED if listed else Standing.NOTHING_LISTED
