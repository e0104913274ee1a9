"""SPF (RFC 7208): records, the tree of records that one of them pulls in, and what such a tree says.

Records are read strictly: what a receiver would answer with *permerror* is `Malformed` here. A tree is what a
domain published at one moment; whoever builds it asks DNS. Macros (§7) depend on the message, so that a name
with one is never followed and matches nothing: a tree with one in it tells only whom it surely lets pass.
Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from vaguemestre.egress import IPAddress, IPNetwork

MOST_LOOKUPS = 10  # RFC 7208 §4.6.4
MOST_VOIDS = 2
_LONGEST = 1_000  # characters of a term

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
# §7.1: a name ends in a label that is no number, or in a macro.
_MACRO = r"%(?:\{[slodiphcrtv][0-9]*r?[-.+,/_=]*\}|[%_-])"
_STRING = re.compile(rf"(?:[!-$&-~]|{_MACRO})*", re.IGNORECASE)
_END = re.compile(rf"(?:.*\.(?![0-9]+\.?$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?|.*{_MACRO})", re.IGNORECASE)
_FOUR = re.compile(r"[0-9.]+(?:/(?:0|[1-9][0-9]?))?")
_SIX = re.compile(r"[0-9a-f:.]+(?:/(?:0|[1-9][0-9]{0,2}))?", re.IGNORECASE)
_ALL = re.compile(r"[+?~-]?all", re.IGNORECASE)
_MECHANISM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:([:/])(.*))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_PREFIXES = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?")
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

    @property
    def shown(self) -> str:
        """Name and value, for people."""
        return f"{self.name}:{self.value}".rstrip(":")


@dataclass(frozen=True)
class Record:
    """One record, its terms in order; `redirect` is the last."""

    text: str
    terms: tuple[Term, ...]

    @cached_property
    def all(self) -> Result | None:
        """What it says of everybody else; None where it says nothing."""
        return next((term.result for term in self.terms if term.name == "all"), None)

    @cached_property
    def distinct(self) -> tuple[Term, ...]:
        """The terms, without what stood there before: it matches no more the second time."""
        first: dict[tuple[object, ...], Term] = {}
        for term in self.terms:
            first.setdefault((term.name, term.value, term.prefixes), term)
        return tuple(first.values())

    @property
    def unread(self) -> str:
        """The mechanisms behind `all`, which no receiver looks at (RFC 7208 §5.1)."""
        words = self.text.split(" ")
        end = next((at for at, word in enumerate(words) if _ALL.fullmatch(word)), len(words))
        return " ".join(word for word in words[end + 1 :] if word and not _MODIFIER.fullmatch(word))

    def with_mechanism(self, mechanism: str) -> str:
        """Its text with one more mechanism, before what speaks of everybody else, and nowhere else."""
        words = [word for word in self.text.split() if word.lower() != mechanism]
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
    LOOP = "loop"  # it is included by itself
    UNASKED = "unasked"  # the bounds were reached


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

    @cached_property
    def lookups(self) -> int:
        """See `lookups`."""
        terms = () if self.record is None else self.record.terms
        below = (self.children.get(term.value) for term in terms if term.name in {"include", "redirect"})
        return sum(term.asks for term in terms) + sum(child.lookups for child in below if child is not None)

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
    words = [word for word in text.split(" ")[1:] if word]
    for name in ("redirect", "exp"):
        if sum(word.lower().startswith(f"{name}=") for word in words) > 1:
            raise Malformed(name)
    terms = [_term(word) for word in words]
    read = [term for term in terms if term is not None]
    mechanisms = [term for term in read if term.name != "redirect"]
    end = next((at for at, term in enumerate(mechanisms) if term.name == "all"), None)
    if end is not None:  # what is behind it is ignored, and so is a redirect (RFC 7208 §5.1)
        return Record(text, tuple(mechanisms[: end + 1]))
    return Record(text, (*mechanisms, *(term for term in read if term.name == "redirect")))


def _term(word: str) -> Term | None:
    """A mechanism or `redirect`; None for another modifier, which nobody needs to know."""
    if len(word) > _LONGEST:
        raise Malformed(word)
    modifier = _MODIFIER.fullmatch(word)
    if modifier is not None:
        return _modifier(modifier[1].lower(), modifier[2].lower(), word)
    found = _MECHANISM.fullmatch(word)
    if found is None:
        raise Malformed(word)
    result, name = Result(found[1] or "+"), found[2].lower()
    rest = "" if found[4] is None else found[4].lower() if found[3] == ":" else f"/{found[4]}"
    if found[3] == ":" and not rest:
        raise Malformed(word)
    if name in {"ip4", "ip6"}:
        return Term(name, str(_network(name, rest, word)), result)
    if name in {"a", "mx"}:
        return _hosts(name, rest, result, word)
    if (name in _NAMED and not rest) or (name == "all" and rest):
        raise Malformed(word)
    if rest:
        _check_name(rest, word)
    return Term(name, rest.rstrip("."), result)


def _modifier(name: str, value: str, word: str) -> Term | None:
    if name in {"redirect", "exp"}:
        _check_name(value, word)
    elif not _STRING.fullmatch(value):
        raise Malformed(word)
    return Term("redirect", value.rstrip(".")) if name == "redirect" else None


def _check_name(name: str, word: str) -> None:
    """A name that can be asked about: no address, no single word, no port behind it (RFC 7208 §7.1)."""
    if not (_STRING.fullmatch(name) and _END.fullmatch(name)):
        raise Malformed(word)


def _network(name: str, text: str, word: str) -> IPNetwork:
    if not (_FOUR if name == "ip4" else _SIX).fullmatch(text):
        raise Malformed(word)  # also a mask in place of a length, which `ipaddress` would read
    try:
        if name == "ip4":
            return ipaddress.IPv4Network(text, strict=False)
        return ipaddress.IPv6Network(text, strict=False)
    except ValueError:
        raise Malformed(word) from None


def _hosts(name: str, rest: str, result: Result, word: str) -> Term:
    found = _PREFIXES.fullmatch(rest)
    four, six = (32, 128) if found is None else (int(found[2] or 32), int(found[3] or 128))
    if found is None or four > 32 or six > 128:
        raise Malformed(word)
    if found[1]:
        _check_name(found[1], word)
    return Term(name, found[1].rstrip("."), result, (four, six))


def lookups(node: Node) -> int:
    """How many lookups a receiver makes that nothing stops earlier (RFC 7208 §4.6.4)."""
    return node.lookups


def opaque(node: Node) -> str:
    """The first term that cannot be judged without a message; "" where there is none."""
    terms = (term for one in node if one.record is not None for term in one.record.terms if term.opaque)
    return next((term.shown for term in terms), "")


def contested(node: Node, passes: Callable[[Node], bool]) -> str:
    """Of such terms one that may turn away what would pass, since it is asked before; "" where there is none.

    Args:
        node: a tree that lets it pass.
        passes: whether a tree does.
    """
    record = node.record
    for at, term in enumerate(() if record is None else record.terms):
        if record is not None and term.opaque and term.result is not Result.PASS:
            ahead = replace(node, record=replace(record, terms=record.terms[:at]))
            return "" if passes(ahead) else term.shown
    return ""


def voids(node: Node) -> int:
    """How many of them find nothing."""
    own = sum(not found for found in node.hosts.values())
    missing = sum(child.state is State.NONE for child in node.children.values())
    return own + missing + sum(map(voids, node.children.values()))


def includes(node: Node, name: str) -> bool:
    """Whether the tree lets that name's senders pass."""
    if node.record is None:
        return False
    for term in node.record.distinct:
        if term.name not in {"include", "redirect"} or term.result is not Result.PASS:
            continue
        child = node.children.get(term.value)
        if term.value == name or (child is not None and includes(child, name)):
            return True
    return False


def result_for(node: Node, address: IPAddress) -> Result:
    """What the tree says of mail from that address; neutral where nothing matches (RFC 7208 §4.7)."""
    for term in () if node.record is None else node.record.distinct:
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
