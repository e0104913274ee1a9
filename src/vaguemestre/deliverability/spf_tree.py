"""The tree of SPF records that a domain's record pulls in, as DNS has it now (RFC 7208 §5).

Bounded in depth and in all: names that include each other have more ways through them than anybody can go. A
name that includes itself is not asked again, and neither is a name with a macro.
"""

from __future__ import annotations

import asyncio

from vaguemestre.deliverability.questions import Questions, Unsaid
from vaguemestre.egress import IPAddress
from vaguemestre.policy import spf
from vaguemestre.policy.spf import Node, State

DEEPEST = 10
LARGEST = 100  # nodes
_MX_HOSTS = 3  # of one `mx` that are worth asking for


async def tree(questions: Questions, domain: str) -> Node:
    """What a name publishes, and all below."""
    return await _Growth(questions).node(domain, ())


class _Growth:
    """One tree."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._left = LARGEST

    async def node(self, domain: str, above: tuple[str, ...]) -> Node:
        if domain in above:
            return Node(domain, State.LOOP)
        if len(above) >= DEEPEST or not self._left:
            return Node(domain, State.UNASKED)
        self._left -= 1
        try:
            found = [text for text in await self._questions.texts(domain) if spf.is_record(text)]
        except Unsaid:
            return Node(domain, State.FAILED)
        if len(found) != 1:
            return Node(domain, State.SEVERAL if found else State.NONE)
        try:
            record = spf.parse(found[0])
        except spf.Malformed as error:
            return Node(domain, State.MALFORMED, wrong=error.term)
        return await self._grown(domain, record, (*above, domain))

    async def _grown(self, domain: str, record: spf.Record, above: tuple[str, ...]) -> Node:
        terms = [term for term in record.distinct if not term.opaque]
        names = list(dict.fromkeys(term.value for term in terms if term.name in {"include", "redirect"}))
        places = list(dict.fromkeys((term.name, term.value) for term in terms if term.name in {"a", "mx"}))
        children = asyncio.gather(*(self.node(name, above) for name in names))
        hosts = asyncio.gather(*(_hosts(self._questions, kind, name or domain) for kind, name in places))
        below, found = await children, await hosts
        return Node(
            domain,
            State.RECORD,
            record,
            children=dict(zip(names, below, strict=True)),
            hosts={
                place: addresses
                for place, addresses in zip(places, found, strict=True)
                if addresses is not None
            },
        )


async def _hosts(questions: Questions, kind: str, name: str) -> tuple[IPAddress, ...] | None:
    """The addresses that `a` or `mx` stands for; None where DNS does not say."""
    try:
        if kind == "a":
            return await questions.addresses(name)
        hosts = (await questions.hosts(name))[:_MX_HOSTS]
        found = await asyncio.gather(*map(questions.addresses, hosts))
    except Unsaid:
        return None
    return tuple(address for addresses in found for address in addresses)
