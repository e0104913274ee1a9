"""How the values of variables are spelt. What cannot be read raises `ValueError`."""

from __future__ import annotations

import base64
import binascii
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

DNS_PORT = 53

type Network = IPv4Network | IPv6Network


def yes(text: str) -> bool:
    """`yes` or `no`."""
    if text.lower() not in {"yes", "no"}:
        raise ValueError(text)
    return text.lower() == "yes"


def positive(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number <= 0:
        raise ValueError(text)
    return number


def second(text: str) -> float:
    """A length of time."""
    found = float(text)
    if not 0 < found < 10**9:
        raise ValueError(text)
    return found


def seconds(text: str) -> tuple[float, ...]:
    """Lengths of time, separated by commas."""
    return tuple(second(part) for part in text.split(",") if part.strip())


def networks(text: str) -> tuple[Network, ...]:
    """Networks, separated by commas."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def resolvers(text: str) -> tuple[tuple[str, int], ...]:
    """DNS servers, separated by commas: an address, or `address#port`."""
    return tuple(_resolver(part.strip()) for part in text.split(",") if part.strip())


def _resolver(text: str) -> tuple[str, int]:
    address, _, port = text.partition("#")
    number = int(port or DNS_PORT)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return str(ip_address(address)), number


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_vault_key(key: str) -> bool:
    """Whether it is 32 bytes in base64."""
    try:
        return len(base64.b64decode(key, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def is_url(text: str) -> bool:
    """Whether it can be taken apart, and nothing is lost behind a `#`."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return not parts.fragment
