"""Questions to DNS about one domain: bounded in number and in time, whatever the domain publishes.

The names come from records of anybody, so that each is checked before it is asked. A question that fails,
comes too late or is one too many raises `Unsaid`, which is told from an answer that is empty.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.resolver

from vaguemestre.egress import IPAddress
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host
from vaguemestre.providers.discovery import resolver_at

MOST = 60  # questions about one domain
WITHIN = 5.0  # seconds for all of them
_ONE = 2.0  # seconds for one


@dataclass(frozen=True)
class Answered:
    """What DNS said.

    Attributes:
        records: of the type that was asked for.
        exists: whether there is such a name at all.
    """

    records: tuple[Any, ...] = ()
    exists: bool = True


class Unsaid(Exception):
    """DNS gave no answer, or was not asked."""


class Questions:
    """See the module. One instance for one domain, used in one event loop.

    Attributes:
        asked: how many there were.
    """

    def __init__(self, resolvers: tuple[tuple[str, int], ...] = (), within: float = WITHIN) -> None:
        self.asked = 0
        self._resolver = resolver_at(resolvers)
        self._end = time.monotonic() + within
        self._under_way: dict[tuple[str, str], asyncio.Task[Answered]] = {}

    async def ask(self, name: str, kind: str) -> Answered:
        """The answer; a question is asked once.

        Raises:
            Unsaid: there is none.
        """
        key = (name, kind)
        if key not in self._under_way:
            self.asked += 1
            self._under_way[key] = asyncio.ensure_future(self._ask(name, kind))
        return await asyncio.shield(self._under_way[key])

    async def texts(self, name: str) -> tuple[str, ...]:
        """The TXT records, their pieces put together (RFC 7208 §3.3)."""
        found = (await self.ask(name, "TXT")).records
        return tuple(b"".join(record.strings).decode("ascii", "replace") for record in found)

    async def hosts(self, name: str) -> tuple[str, ...]:
        """Who receives mail for a name, the preferred first."""
        found = sorted((await self.ask(name, "MX")).records, key=lambda record: record.preference)
        return tuple(str(record.exchange).rstrip(".").lower() or "." for record in found)

    async def addresses(self, name: str) -> tuple[IPAddress, ...]:
        """The addresses of a name, of both families."""
        four, six = await asyncio.gather(self.ask(name, "A"), self.ask(name, "AAAA"))
        return tuple(ip_address(record.address) for record in (*four.records, *six.records))

    async def _ask(self, name: str, kind: str) -> Answered:
        left = self._end - time.monotonic()
        if self.asked > MOST or left <= 0 or not _askable(name):
            raise Unsaid
        try:
            found = await self._resolver.resolve(name, kind, lifetime=min(left, _ONE), search=False)
        except dns.resolver.NXDOMAIN:
            return Answered(exists=False)
        except dns.resolver.NoAnswer:
            return Answered()
        except (dns.exception.DNSException, OSError, ValueError):
            raise Unsaid from None
        return Answered(tuple(found))


def _askable(name: str) -> bool:
    """Whether it is a name of DNS; those of records may begin a label with an underscore."""
    labels = [label.removeprefix("_") for label in name.split(".")]
    try:
        return len(name) <= 253 and len(labels) > 1 and bool(canonical_host(".".join(labels), "name"))
    except Invalid:
        return False
