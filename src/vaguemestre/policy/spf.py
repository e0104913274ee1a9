"""SPF (RFC 7208): records, the tree of records that one of them pulls in, and what such a tree says.

Records are read strictly: what a receiver would answer with *permerror* is `Malformed` here. A tree is what a
domain published at one moment; whoever builds it asks DNS. Macros (§7) depend on the message, so that a name
with one is never followed and matches nothing. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from vaguemestre.egress import IPAddress, IPNetwork

MOST_LOOKUPS = 10  # RFC 7208 §4.6.4
MOST_VOIDS = 2

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_MECHANISM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:([:/])(.*))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_PREFIXES = re.compile(r"(.*?)(?:/([0-9]{1,2}))?(?://([0-9]{1,3}))?")
_ASKS = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_NAMED = frozenset({"include", "exists", "redirect"})


class Malformed(Exception):
    """No record.

    Attributes:
        term: what cannot be read.
    """

    def __init__(self, term: str) -> None:
        super().__init__(f"not a term of SPF: {term[:100]}")
        self.term = term[:100]


class Result(StrEnum):
    """What a qualifier says (RFC 7208 §2.6)."""

    PASS = "+"  # noqa: S105  a sign, no secret
    NEUTRAL = "?"
    SOFTFAIL = "~"
    FAIL = "-"


@dataclass(frozen=True)
class Term:
    """A mechanism, or `redirect`.

    Attributes:
        name: in lower case.
        value: domain or network; "" stands for the record's own domain.
        prefixes: lengths of the network for IPv4 and IPv6, of `a` and `mx`.
    """

    name: str
    value: str = ""
    result: Result = Result.PASS
    prefixes: tuple[int, int] = (32, 128)

    @property
    def asks(self) -> bool:
        """Whether evaluating it costs a lookup."""
        return self.name in _ASKS

    @property
    def opaque(self) -> bool:
        """Whether it cannot be followed without a message."""
        return "%" in self.value or self.name in {"ptr", "exists"}


@dataclass(frozen=True)
class Record:
    """One record, its terms in order; `redirect` is the last."""

    text: str
    terms: tuple[Term, ...]

    @cached_property
    def all(self) -> Result | None:
        """What it says of everybody else; None where it says nothing."""
        return next((term.result for term in self.terms if term.name == "all"), None)

    def with_mechanism(self, mechanism: str) -> str:
        """Its text with one more mechanism, before what speaks of everybody else."""
        words = self.text.split()
        last = next(
            (
                at
                for at, word in enumerate(words)
                if re.fullmatch(r"[+?~-]?all|redirect=.*", word, re.IGNORECASE)
            ),
            len(words),
        )
        return " ".join([*words[:last], mechanism, *words[last:]])


class State(StrEnum):
    """What a name answered when it was asked for its record."""

    RECORD = "record"
    NONE = "none"
    SEVERAL = "several"
    MALFORMED = "malformed"
    FAILED = "failed"  # DNS gave no answer
    UNASKED = "unasked"  # the bounds were reached, or it would be a loop


@dataclass(frozen=True)
class Node:
    """A name's record, and what that pulls in.

    Attributes:
        wrong: the term that cannot be read.
        children: of `include` and `redirect`, by their names.
        hosts: the addresses of `a` and `mx`, by their names.
    """

    domain: str
    state: State
    record: Record | None = None
    wrong: str = ""
    children: Mapping[str, Node] = field(default_factory=dict)
    hosts: Mapping[tuple[str, str], tuple[IPAddress, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        """It, and all below."""
        yield self
        for child in self.children.values():
            yield from child


def is_record(text: str) -> bool:
    """Whether a TXT record is one of SPF at all (RFC 7208 §4.5)."""
    return _VERSION.match(text) is not None


def parse(text: str) -> Record:
    """A record.

    Raises:
        Malformed: a receiver would not evaluate it.
    """
    terms = [_term(word) for word in text.split()[1:]]
    read = [term for term in terms if term is not None]
    redirects = [term for term in read if term.name == "redirect"]
    if len(redirects) > 1:
        raise Malformed("redirect")
    mechanisms = [term for term in read if term.name != "redirect"]
    if any(term.name == "all" for term in mechanisms):
        redirects = []  # RFC 7208 §6.1
    return Record(text, (*mechanisms, *redirects))


def _term(word: str) -> Term | None:
    """A mechanism or `redirect`; None for another modifier, which nobody needs to know."""
    modifier = _MODIFIER.fullmatch(word)
    if modifier is not None:
        name, value = modifier[1].lower(), modifier[2].lower().rstrip(".")
        if name == "redirect" and not value:
            raise Malformed(word)
        return Term("redirect", value) if name == "redirect" else None
    found = _MECHANISM.fullmatch(word)
    if found is None:
        raise Malformed(word)
    result, name = Result(found[1] or "+"), found[2].lower()
    rest = "" if found[4] is None else found[4].lower().rstrip(".") if found[3] == ":" else f"/{found[4]}"
    if found[3] == ":" and not rest:
        raise Malformed(word)
    if name in {"ip4", "ip6"}:
        return Term(name, str(_network(name, rest, word)), result)
    if name in {"a", "mx"}:
        return _hosts(name, rest, result, word)
    if (name in _NAMED and not rest) or (name == "all" and rest) or rest.startswith("/"):
        raise Malformed(word)
    return Term(name, rest, result)


def _network(name: str, text: str, word: str) -> IPNetwork:
    try:
        if name == "ip4":
            return ipaddress.IPv4Network(text, strict=False)
        return ipaddress.IPv6Network(text, strict=False)
    except ValueError:
        raise Malformed(word) from None


def _hosts(name: str, rest: str, result: Result, word: str) -> Term:
    found = _PREFIXES.fullmatch(rest)
    four, six = (32, 128) if found is None else (int(found[2] or 32), int(found[3] or 128))
    if found is None or "/" in found[1] or four > 32 or six > 128:
        raise Malformed(word)
    return Term(name, found[1], result, (four, six))


def lookups(node: Node) -> int:
    """How many lookups a receiver makes that nothing stops earlier (RFC 7208 §4.6.4)."""
    own = 0 if node.record is None else sum(term.asks for term in node.record.terms)
    return own + sum(map(lookups, node.children.values()))


def voids(node: Node) -> int:
    """How many of them find nothing."""
    own = sum(not found for found in node.hosts.values())
    missing = sum(child.state is State.NONE for child in node.children.values())
    return own + missing + sum(map(voids, node.children.values()))


def includes(node: Node, name: str) -> bool:
    """Whether the tree lets that name's senders pass."""
    if node.record is None:
        return False
    for term in node.record.terms:
        if term.name not in {"include", "redirect"} or term.result is not Result.PASS:
            continue
        child = node.children.get(term.value)
        if term.value == name or (child is not None and includes(child, name)):
            return True
    return False


def result_for(node: Node, address: IPAddress) -> Result:
    """What the tree says of mail from that address; neutral where nothing matches (RFC 7208 §4.7)."""
    for term in () if node.record is None else node.record.terms:
        child = node.children.get(term.value)
        if term.name == "redirect":
            return Result.NEUTRAL if child is None else result_for(child, address)
        if _matches(node, term, child, address):
            return term.result
    return Result.NEUTRAL


def _matches(node: Node, term: Term, child: Node | None, address: IPAddress) -> bool:
    match term.name:
        case "all":
            return True
        case "ip4" | "ip6":
            return address in ipaddress.ip_network(term.value)
        case "include":
            return child is not None and result_for(child, address) is Result.PASS
        case "a" | "mx":
            length = term.prefixes[0 if address.version == 4 else 1]
            found = node.hosts.get((term.name, term.value), ())
            return any(
                one.version == address.version
                and address in ipaddress.ip_network(f"{one}/{length}", strict=False)
                for one in found
            )
        case _:
            return False
