"""Asks DNS, and where the operator allows it the domain's web server, how an address's mail is sent.

One deadline for all of it; whatever fails or stays silent counts as not found, since the person can always
type the values. The questions of DNS go out together. HTTP goes through the one transport and its guard;
neither the address nor its local part is ever sent, only its domain is asked. For callers that wait in a
thread at most `AT_ONCE` ask at a time: whoever comes then is told so (`Busy`), and other requests are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.nameserver

from vaguemestre.http_transport import Address, HttpFailed, HttpTransport, Request
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.providers.autoconfig import Unusable, outgoing_servers
from vaguemestre.providers.recognition import Proposal, Service, by_document, by_domain, by_mx, by_services

DNS_WITHIN = 2.5  # seconds for all questions together
HTTP_WITHIN = 3.0  # seconds for both places of the document
AT_ONCE = 8
_places = threading.BoundedSemaphore(AT_ONCE)
_SERVICES = {"_submissions._tcp": Encryption.SSL, "_submission._tcp": Encryption.STARTTLS}
_DOCUMENTS = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)


class Busy(Exception):
    """Too many are asked about at once; nothing was asked."""

    def __init__(self) -> None:
        super().__init__("Several addresses are being looked at already. Try again in a few seconds.")


@dataclass(frozen=True)
class Discovery:
    """How this installation asks.

    Attributes:
        resolvers: (address, port) of the DNS servers; none for the machine's own.
        transport: for the domain's autoconfig document; None where the operator does not allow it.
        documents: addresses of that document, with `{domain}`.
    """

    resolvers: tuple[tuple[str, int], ...] = ()
    transport: HttpTransport | None = None
    within: float = DNS_WITHIN
    documents: tuple[str, ...] = _DOCUMENTS

    async def propose(self, sender: Mailbox) -> Proposal | None:
        """The first proposal that something speaks for; None where nothing does."""
        domain = sender.domain_ascii
        return by_domain(domain) or await self._from_dns(domain) or await self._from_web(domain)

    async def _from_dns(self, domain: str) -> Proposal | None:
        try:
            async with asyncio.timeout(self.within):
                hosts, services = await asyncio.gather(self._mx(domain), self._published(domain))
        except TimeoutError:
            return None
        return by_mx(hosts) or by_services(services)

    async def _mx(self, domain: str) -> list[str]:
        """The hosts that receive the domain's mail, the preferred first."""
        records = sorted(await self._ask(domain, "MX"), key=lambda record: record.preference)
        return [_name(record.exchange) for record in records]

    async def _published(self, domain: str) -> list[Service]:
        """The SRV records of both names."""
        found = await asyncio.gather(*(self._services(name, domain) for name in _SERVICES))
        return [service for services in found for service in services]

    async def _services(self, name: str, domain: str) -> list[Service]:
        whole = f"{name}.{domain}"
        return [
            Service(whole, _SERVICES[name], record.priority, record.weight, record.port, _name(record.target))
            for record in await self._ask(whole, "SRV")
        ]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """The records; none where there are none, or nobody says."""
        try:
            return list(
                await resolver_at(self.resolvers).resolve(name, kind, lifetime=self.within, search=False)
            )
        except (dns.exception.DNSException, OSError, ValueError):
            return []

    async def _from_web(self, domain: str) -> Proposal | None:
        if self.transport is None:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HTTP_WITHIN):
                for document in self.documents:
                    proposal = await self._from_document(self.transport, document.format(domain=domain))
                    if proposal is not None:
                        return proposal
        return None

    async def _from_document(self, transport: HttpTransport, url: str) -> Proposal | None:
        try:
            request = Request("GET", Address.parse(url))
            answer = await transport.send(request, within=HTTP_WITHIN)
            return by_document(outgoing_servers(answer.body), url) if answer.status == 200 else None
        except (HttpFailed, Invalid, Unusable):
            return None


def resolver_at(places: tuple[tuple[str, int], ...]) -> dns.asyncresolver.Resolver:
    """Who asks the DNS servers at (address, port); the machine's own where there are none."""
    if not places:
        return dns.asyncresolver.Resolver()
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(*place) for place in places]
    return resolver


def _name(found: object) -> str:
    return str(found).rstrip(".").lower() or "."


def recognise(sender_email: str, discovery: Discovery) -> Proposal | None:
    """What is proposed for an address, for callers without an event loop.

    Raises:
        Invalid: at `sender_email`.
        Busy: nobody can be asked now; a domain that is known is answered all the same.
    """
    sender = Mailbox.parse(sender_email, "sender_email")
    known = by_domain(sender.domain_ascii)
    if known is not None:
        return known
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        return asyncio.run(discovery.propose(sender))
    finally:
        _places.release()
