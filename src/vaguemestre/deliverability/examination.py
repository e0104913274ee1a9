"""Examines the domain of a connection's sender: asks DNS what it publishes, and has it judged.

Everything is asked at once and within five seconds; what DNS does not say is told as not known. Nothing is
dialled but the resolver, and no address or local part is asked about, only domains. At most `AT_ONCE` run in
one process: whoever comes then is told so at once (`Busy`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from datetime import date
from ipaddress import ip_address

from vaguemestre.deliverability.questions import WITHIN, Questions, Unsaid
from vaguemestre.deliverability.spf_tree import tree
from vaguemestre.egress import Guard, IPAddress
from vaguemestre.ledger import sightings
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy import dkim, dmarc
from vaguemestre.policy.deliverability import Expected, Lookup, Point, Published, examined
from vaguemestre.providers.preset import Preset, preset_of_host
from vaguemestre.providers.recognition import by_domain

AT_ONCE = 4
_PARENTS = 4  # names above the domain that may hold its DMARC record
_PUBLIC = Guard()

_places = threading.BoundedSemaphore(AT_ONCE)


class Busy(Exception):
    """Too many examinations run at once; nothing was asked."""

    def __init__(self) -> None:
        super().__init__("Several domains are being examined already. Try again in a few seconds.")


@dataclass(frozen=True)
class Examination:
    """What was found."""

    domain: str
    published: Published
    points: tuple[Point, ...]


def examine(
    connection: Connection,
    today: date,
    *,
    resolvers: tuple[tuple[str, int], ...] = (),
    within: float = WITHIN,
) -> Examination:
    """The domain of the connection's sender.

    Args:
        connection: its sender, and the server that sends for it.
        today: for the published source addresses.
        resolvers: (address, port) of the DNS servers; none for the machine's own.
        within: seconds for all questions together.

    Raises:
        Busy: too many run at once.
    """
    domain = Mailbox.parse(connection.sender_ascii, "sender_email").domain_ascii
    listed = tuple(ip_address(entry.address) for entry in sightings.entries() if entry.valid(today))
    if not _places.acquire(blocking=False):
        raise Busy
    try:
        return asyncio.run(_examine(domain, connection.host, listed, Questions(resolvers, within)))
    finally:
        _places.release()


async def _examine(
    domain: str, host: str, listed: tuple[IPAddress, ...], questions: Questions
) -> Examination:
    expected = await _expected(domain, host, listed, questions)
    published = await _published(domain, expected, questions)
    return Examination(domain, published, examined(published, expected))


async def _expected(domain: str, host: str, listed: tuple[IPAddress, ...], questions: Questions) -> Expected:
    """Who sends: a provider that we know, else the server itself, else, behind a private one, ourselves."""
    preset, proposal = preset_of_host(host), by_domain(domain)
    owner = None if proposal is None else proposal.preset
    addresses: tuple[IPAddress, ...] = ()
    if preset is None:
        addresses = await _public_addresses(host, questions) or listed
    return Expected(
        provider=host if preset is None else preset.label,
        include="" if preset is None else preset.spf_include,
        addresses=addresses,
        selectors=() if preset is None else preset.dkim_selectors,
        owner="" if owner is None else owner.label,
        foreign=owner is not None and not _same(preset, owner),
    )


def _same(preset: Preset | None, owner: Preset) -> bool:
    """Whether the domain's owner lets that provider send: it is the same one, perhaps by another server."""
    if preset is None:
        return False
    return preset.key == owner.key or preset.spf_include == owner.spf_include != ""


async def _public_addresses(host: str, questions: Questions) -> tuple[IPAddress, ...]:
    found: tuple[IPAddress, ...] = ()
    with contextlib.suppress(ValueError):
        found = (ip_address(host),)
    if not found:
        with contextlib.suppress(Unsaid):
            found = await questions.addresses(host)
    return tuple(address for address in found if _PUBLIC.permits(address, 25))


async def _published(domain: str, expected: Expected, questions: Questions) -> Published:
    mx, root, keys, found = await asyncio.gather(
        _mx(questions, domain),
        tree(questions, domain),
        _keys(questions, domain, expected.selectors),
        _dmarc(questions, domain),
    )
    exists, hosts = mx
    return Published(domain, exists, hosts, root, keys[0], *found, keys_known=keys[1])


async def _mx(questions: Questions, domain: str) -> tuple[bool, tuple[str, ...] | None]:
    try:
        exists = (await questions.ask(domain, "MX")).exists
        return exists, await questions.hosts(domain)
    except Unsaid:
        return True, None


async def _keys(
    questions: Questions, domain: str, selectors: tuple[str, ...]
) -> tuple[tuple[dkim.Key, ...], bool]:
    """Those that there are, and whether DNS answered about all."""
    names = [f"{selector}._domainkey.{domain}" for selector in selectors]
    answers = await asyncio.gather(*map(questions.texts, names), return_exceptions=True)
    found = [
        (selector, next(filter(dkim.is_record, texts), ""))
        for selector, texts in zip(selectors, answers, strict=True)
        if isinstance(texts, tuple)
    ]
    keys = tuple(dkim.key_of(selector, text) for selector, text in found if text)
    return keys, len(found) == len(selectors)


async def _dmarc(questions: Questions, domain: str) -> tuple[Lookup, str, dmarc.Record | None]:
    """The record that counts: the domain's, else the nearest one above it that is not a public suffix's."""
    labels = domain.split(".")
    above = [".".join(labels[at:]) for at in range(len(labels) - 1)][: _PARENTS + 1]
    for at in above:
        lookup, record = await _dmarc_of(questions, at)
        if lookup is not Lookup.NONE and not (record and record.public_suffix and at != domain):
            return lookup, at, record
    return Lookup.NONE, "", None


async def _dmarc_of(questions: Questions, domain: str) -> tuple[Lookup, dmarc.Record | None]:
    try:
        found = [text for text in await questions.texts(f"_dmarc.{domain}") if dmarc.is_record(text)]
    except Unsaid:
        return Lookup.FAILED, None
    if len(found) != 1:
        return (Lookup.SEVERAL if found else Lookup.NONE), None
    try:
        return Lookup.FOUND, dmarc.parse(found[0])
    except dmarc.Malformed:
        return Lookup.MALFORMED, None
