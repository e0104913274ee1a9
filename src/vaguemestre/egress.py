"""The guard: which addresses may be dialled (design L10), for SMTP and for HTTP.

A name is looked up once; every address of the answer is judged, those that pass are returned in order, and
the caller dials these very addresses. What is refused is refused alike: `NotPermitted` names no address and
comes before anything is dialled, so that neither text nor time tells what stands there.

An IPv6 address that carries an IPv4 address (mapped, NAT64, 6to4, Teredo and the rest, RFC 4291 §2.5.5,
RFC 6052, RFC 3056, RFC 4380) is judged by what it carries as well.

Public addresses pass. Loopback, private, shared, documentation, benchmark and reserved ones pass when a
network of `allow` holds them. Link-local addresses need a network that is itself link-local, and a metadata
service needs to be named alone (/32, /128): a wide network such as 0.0.0.0/0 never lets them pass.
Multicast, unspecified and broadcast addresses never pass.
"""

from __future__ import annotations

import asyncio
import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Container
from concurrent.futures import Future
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vaguemestre.mail.errors import Invalid

type IPAddress = IPv4Address | IPv6Address
type IPNetwork = IPv4Network | IPv6Network
type Lookup = Callable[[str, int], Awaitable[tuple[IPAddress, ...]]]

ADDRESS_LIMIT = 8  # addresses of one name that are worth dialling
LOOKUP_THREADS = 8


@dataclass(frozen=True)
class Ports:
    """Ports, as the ranges that hold them: all of them one by one would be 4 MiB of numbers."""

    ranges: tuple[range, ...] = ()

    @classmethod
    def of(cls, *numbers: int) -> Ports:
        """These and no others."""
        return cls(tuple(range(number, number + 1) for number in numbers))

    def __contains__(self, port: object) -> bool:
        return any(port in each for each in self.ranges)

    def __or__(self, other: Ports) -> Ports:
        return Ports(self.ranges + other.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)


USUAL_PORTS = Ports.of(25, 465, 587, 2465, 2525, 2587)


class HostUnknown(Exception):
    """The name has no address."""


class LookupFailed(Exception):
    """The name could not be looked up now; it may exist."""


class NotPermitted(Exception):
    """The guard refuses. It says no more than that, whatever was refused."""

    def __init__(self) -> None:
        super().__init__("this address or port may not be dialled")


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_NEVER = _networks("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8")
_LINK_LOCAL = _networks("169.254.0.0/16", "fe80::/10")
_METADATA = _networks(
    "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"
)
# Beside what `ipaddress` calls private; it calls some of these global.
_SPECIAL = _networks(
    "100.64.0.0/10",  # shared with a carrier's NAT, RFC 6598
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "64:ff9b:1::/48",  # NAT64 for local use, RFC 8215
    "100::/64",
    "2001::/23",  # Teredo, ORCHID and other assignments, RFC 2928
    "2001:db8::/32",
    "2002::/16",  # 6to4, RFC 7526
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fec0::/10",  # site-local, RFC 3879
    "::/96",  # IPv4-compatible, RFC 4291 §2.5.5.1
    "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def _carried(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for."""
    value, low = int(address), IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in (_MAPPED, _NAT64, _LOCAL_NAT64, _COMPATIBLE, _TRANSLATED)):
        return () if value in {0, 1} else (low,)  # :: and ::1 carry nothing
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    return (low,) if (value >> 32) & 0xFFFFFFFF in _ISATAP else ()


def _stands_alone(address: IPAddress) -> bool:
    """Whether the address is judged by itself, and not only by the IPv4 address it carries."""
    return not (address in _MAPPED or address in _NAT64)


def _special(address: IPAddress) -> bool:
    return (
        address.is_private
        or address.is_loopback
        or address.is_reserved
        or any(address in network for network in _SPECIAL)
    )


@dataclass(frozen=True)
class Guard:
    """What the operator's environment lets us dial.

    Attributes:
        allow: networks that may be dialled besides public addresses.
        ports: the only ports that may be dialled.
    """

    allow: tuple[IPNetwork, ...] = ()
    ports: Container[int] = field(default=USUAL_PORTS)

    def permits(self, address: IPAddress, port: int) -> bool:
        """Whether that address and port may be dialled."""
        if port not in self.ports:
            return False
        carried = _carried(address) if isinstance(address, IPv6Address) else ()
        judged = (*carried, *((address,) if _stands_alone(address) else ()))
        return all(self._permits(one) for one in judged)

    def _permits(self, address: IPAddress) -> bool:
        if any(address in network for network in _NEVER):
            return False
        if any(address in network for network in _METADATA):
            return any(address in network and network.num_addresses == 1 for network in self.allow)
        for link_local in _LINK_LOCAL:
            if address in link_local:
                return any(address in network and _within(network, link_local) for network in self.allow)
        return not _special(address) or any(address in network for network in self.allow)

    async def resolve(self, lookup: Lookup, host: str, port: int) -> tuple[IPAddress, ...]:
        """The addresses of `host` that may be dialled, in the order of the lookup, at most `ADDRESS_LIMIT`.

        Raises:
            NotPermitted: the port is not allowed (nothing was looked up), or no address is.
            HostUnknown, LookupFailed: from the lookup.
        """
        if port not in self.ports:
            raise NotPermitted
        literal = _literal(host)
        found = (literal,) if literal is not None else await lookup(host, port)
        allowed = tuple(address for address in dict.fromkeys(found) if self.permits(address, port))
        if not allowed:
            raise NotPermitted
        return allowed[:ADDRESS_LIMIT]


def _within(network: IPNetwork, wider: IPNetwork) -> bool:
    return network.version == wider.version and network.subnet_of(wider)  # type: ignore[arg-type]  # same version


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def parse_networks(text: str, name: str = "networks") -> tuple[IPNetwork, ...]:
    """The networks of a list such as `127.0.0.0/8,10.1.0.0/16`.

    Raises:
        Invalid: code `network_syntax`.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Invalid(
            name,
            "network_syntax",
            f"This is not a list of networks: {error}. Write it like 127.0.0.0/8,10.1.0.0/16.",
        ) from None


_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def parse_ports(text: str, name: str = "ports") -> Ports:
    """The ports of a list of numbers and ranges such as `25,465,2000-2100`.

    Raises:
        Invalid: code `ports_syntax`.
    """
    ranges: list[range] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = _RANGE.fullmatch(part)
        first, last = (0, 0) if found is None else (int(found[1]), int(found[2] or found[1]))
        if not 1 <= first <= last <= 65535:
            raise Invalid(
                name,
                "ports_syntax",
                f"{part!r} is not a port or a range of ports. Write the list like 25,465,2000-2100.",
            )
        ranges.append(range(first, last + 1))
    return Ports(tuple(ranges))


class _Resolver:
    """getaddrinfo in a few threads of its own, so that a resolver that hangs fills no other pool.

    The threads are daemons: a hung lookup must not hold up the end of the process.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._started = 0
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Future[tuple[IPAddress, ...]], str, int]] = queue.SimpleQueue()

    def submit(self, host: str, port: int) -> Future[tuple[IPAddress, ...]]:
        """A future for the addresses."""
        future: Future[tuple[IPAddress, ...]] = Future()
        self._calls.put((future, host, port))
        with self._lock:
            if self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._serve, name=f"lookup-{self._started}", daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            future, host, port = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(_addresses(host, port))
            except BaseException as error:  # noqa: BLE001  the future carries it to who asked
                future.set_exception(error)


_resolver = _Resolver(LOOKUP_THREADS)
_UNKNOWN = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def _addresses(host: str, port: int) -> tuple[IPAddress, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise (HostUnknown if error.errno in _UNKNOWN else LookupFailed)(error.strerror) from None
    except (OSError, ValueError) as error:
        raise LookupFailed(str(error)) from None
    return tuple(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


async def system_lookup(host: str, port: int) -> tuple[IPAddress, ...]:
    """The addresses that this machine's resolver knows for a name, in its order.

    Raises:
        HostUnknown: there is no such name, or it has no address.
        LookupFailed: the resolver did not answer, or failed.
    """
    return await asyncio.wrap_future(_resolver.submit(host, port))
