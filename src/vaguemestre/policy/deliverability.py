"""Whether a domain's records let mail arrive that a connection sends in its name: the points, gravest first.

Receivers look at MX (can it be answered?), SPF (may this server send for the domain?), DKIM (did the domain
sign it?) and DMARC (does one of the two speak for the domain in From, and what if not?). The reverse-path is
the sender, so that SPF that passes is aligned (RFC 7489 §3.1.2); DKIM that a provider makes with the domain's
own selector is aligned too. What cannot be known from records alone is said to be so.

A point is a code with facts, and where it helps the record to publish; words are made at the edge. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vaguemestre.egress import IPAddress
from vaguemestre.policy import spf
from vaguemestre.policy.dkim import Key, KeyState
from vaguemestre.policy.dmarc import Policy
from vaguemestre.policy.dmarc import Record as DmarcRecord
from vaguemestre.policy.export import mechanisms
from vaguemestre.policy.finding import Severity, Who


class Subject(StrEnum):
    """What a point is about."""

    DOMAIN = "domain"
    MX = "mx"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


class Code(StrEnum):
    """What is to be said. The part before the first `_` is the subject."""

    DOMAIN_UNKNOWN = "domain_unknown"
    DOMAIN_NOT_YOURS = "domain_not_yours"
    MX_OK = "mx_ok"
    MX_MISSING = "mx_missing"
    MX_UNKNOWN = "mx_unknown"
    SPF_OK = "spf_ok"
    SPF_MISSING = "spf_missing"
    SPF_NOT_COVERING = "spf_not_covering"
    SPF_SEVERAL = "spf_several"
    SPF_MALFORMED = "spf_malformed"
    SPF_TOO_MANY_LOOKUPS = "spf_too_many_lookups"
    SPF_BROKEN_INCLUDE = "spf_broken_include"
    SPF_LOOP = "spf_loop"
    SPF_OPEN = "spf_open"
    SPF_VOID_LOOKUPS = "spf_void_lookups"
    SPF_UNDECIDED = "spf_undecided"
    SPF_UNTOLD = "spf_untold"
    SPF_BY_MESSAGE = "spf_by_message"
    SPF_UNKNOWN = "spf_unknown"
    DKIM_OK = "dkim_ok"
    DKIM_NOT_FOUND = "dkim_not_found"
    DKIM_BROKEN = "dkim_broken"
    DKIM_WEAK = "dkim_weak"
    DKIM_UNTOLD = "dkim_untold"
    DKIM_UNKNOWN = "dkim_unknown"
    DMARC_OK = "dmarc_ok"
    DMARC_UNPROVEN = "dmarc_unproven"
    DMARC_MISSING = "dmarc_missing"
    DMARC_SEVERAL = "dmarc_several"
    DMARC_MALFORMED = "dmarc_malformed"
    DMARC_UNKNOWN = "dmarc_unknown"

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.value.partition("_")[0])


_ERRORS = frozenset(
    {
        Code.DOMAIN_UNKNOWN,
        Code.DOMAIN_NOT_YOURS,
        Code.SPF_MISSING,
        Code.SPF_NOT_COVERING,
        Code.SPF_SEVERAL,
        Code.SPF_MALFORMED,
        Code.SPF_TOO_MANY_LOOKUPS,
        Code.SPF_BROKEN_INCLUDE,
        Code.SPF_LOOP,
        Code.SPF_OPEN,
        Code.DKIM_BROKEN,
        Code.DMARC_UNPROVEN,
        Code.DMARC_SEVERAL,
        Code.DMARC_MALFORMED,
    }
)
_INFOS = frozenset(
    {
        Code.MX_OK,
        Code.SPF_OK,
        Code.SPF_UNTOLD,
        Code.SPF_BY_MESSAGE,
        Code.DKIM_OK,
        Code.DKIM_UNTOLD,
        Code.DMARC_OK,
    }
)
_YOURS = frozenset({Code.DOMAIN_UNKNOWN, Code.DOMAIN_NOT_YOURS, Code.DKIM_NOT_FOUND, *_INFOS})
_GRAVITY = (Severity.ERROR, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True)
class DnsRecord:
    """A record to publish."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Point:
    """One thing to say.

    Attributes:
        facts: what its text may show.
        record: to publish; None where there is none, or the domain is not the reader's.
    """

    code: Code
    facts: Mapping[str, str] = field(default_factory=dict)
    record: DnsRecord | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: an error has mail refused or put aside."""
        if self.code in _ERRORS:
            return Severity.ERROR
        return Severity.INFO if self.code in _INFOS else Severity.WARNING

    @property
    def who(self) -> Who:
        """Who acts."""
        return Who.YOU if self.code in _YOURS else Who.DNS_HOST


class Lookup(StrEnum):
    """How a question ended that has several kinds of end."""

    FOUND = "found"
    NONE = "none"
    SEVERAL = "several"
    MALFORMED = "malformed"
    FAILED = "failed"


@dataclass(frozen=True)
class Expected:
    """Who sends in the domain's name through the connection.

    Attributes:
        provider: as people know it; "" for a server that no preset knows.
        include: what an SPF record includes for it; "" where that is not known.
        addresses: those that the server sends from, where no include is known.
        selectors: of DKIM that are usual there.
        owner: the provider whose own domain it is, such as Gmail; "" where it is the reader's.
        foreign: whether the connection's provider is another one than that.
    """

    provider: str = ""
    include: str = ""
    addresses: tuple[IPAddress, ...] = ()
    selectors: tuple[str, ...] = ()
    owner: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Published:
    """What DNS says of a domain.

    Attributes:
        exists: False where DNS says that there is no such name.
        mx: hosts, the preferred first; None where nobody said. "." is the null MX (RFC 7505).
        keys: what the looked-for selectors have.
        keys_known: whether DNS answered about all of them.
        dmarc_at: the domain whose DMARC record counts: itself, or one above it.
    """

    domain: str
    exists: bool
    mx: tuple[str, ...] | None
    spf: spf.Node
    keys: tuple[Key, ...]
    dmarc: Lookup
    dmarc_at: str = ""
    dmarc_record: DmarcRecord | None = None
    keys_known: bool = True


def examined(published: Published, expected: Expected) -> tuple[Point, ...]:
    """The points, the gravest first, then in the order of the subjects. There is at least one."""
    if not published.exists:
        return (Point(Code.DOMAIN_UNKNOWN, {"domain": published.domain}),)
    own = expected.owner == ""
    points = [*_owner(published, expected), _mx(published), *_spf(published, expected)]
    points += [_dkim(published, expected), *_dmarc(published, expected)]
    points = [point if own else Point(point.code, point.facts) for point in points]
    return tuple(sorted(points, key=lambda point: _GRAVITY.index(point.severity)))


def _owner(published: Published, expected: Expected) -> Iterator[Point]:
    if expected.foreign:
        facts = {"domain": published.domain, "owner": expected.owner, "provider": expected.provider}
        yield Point(Code.DOMAIN_NOT_YOURS, facts)


def _mx(published: Published) -> Point:
    facts = {"domain": published.domain, "hosts": ", ".join((published.mx or ())[:5])}
    if published.mx is None:
        return Point(Code.MX_UNKNOWN, facts)
    return Point(Code.MX_OK if set(published.mx) - {"."} else Code.MX_MISSING, facts)


# SPF


def _spf(published: Published, expected: Expected) -> Iterator[Point]:
    node, facts = published.spf, {"domain": published.domain, "provider": expected.provider}
    unusable = {
        spf.State.NONE: Code.SPF_MISSING,
        spf.State.SEVERAL: Code.SPF_SEVERAL,
        spf.State.MALFORMED: Code.SPF_MALFORMED,
    }
    if node.record is None:
        code = unusable.get(node.state, Code.SPF_UNKNOWN)
        wanted = _mechanism(expected)
        value = f"v=spf1 {wanted} ~all" if code is Code.SPF_MISSING and wanted else ""
        yield Point(code, facts | {"wrong": node.wrong}, _txt(published.domain, value))
        return
    facts |= {"record": node.record.text}
    yield _coverage(published, expected, facts)
    yield from _spf_faults(node, facts)


def _coverage(published: Published, expected: Expected, facts: Mapping[str, str]) -> Point:
    node, wanted = published.spf, _mechanism(expected)
    facts = {**facts, "mechanism": wanted}
    if not wanted:
        return Point(Code.SPF_UNTOLD, facts)
    if spf_passes(node, expected):
        term = spf.contested(node, lambda tree: spf_passes(tree, expected))
        return Point(Code.SPF_BY_MESSAGE, facts | {"term": term}) if term else Point(Code.SPF_OK, facts)
    if not _known(node):
        return Point(Code.SPF_UNKNOWN, facts)
    term = spf.opaque(node)
    if term:
        return Point(Code.SPF_BY_MESSAGE, facts | {"term": term})
    value = node.record.with_mechanism(_lacking(node, expected)) if node.record else ""
    unread = "" if node.record is None else node.record.unread
    return Point(Code.SPF_NOT_COVERING, facts | {"unread": unread}, _txt(published.domain, value))


def _known(node: spf.Node) -> bool:
    """Whether DNS answered about all of it."""
    return not any(one.state in {spf.State.FAILED, spf.State.UNASKED} for one in node)


def _spf_faults(node: spf.Node, facts: Mapping[str, str]) -> Iterator[Point]:
    """What is wrong with a record whatever the connection."""
    count, empty = spf.lookups(node), spf.voids(node)
    if count > spf.MOST_LOOKUPS:
        yield Point(Code.SPF_TOO_MANY_LOOKUPS, {**facts, "count": str(count)})
    loops = [one for one in node if one.state is spf.State.LOOP]
    broken = [one for one in node if one is not node and _broken(one)]
    if loops:
        yield Point(Code.SPF_LOOP, {**facts, "include": loops[0].domain})
    if broken:
        yield Point(Code.SPF_BROKEN_INCLUDE, {**facts, "include": broken[0].domain})
    elif empty > spf.MOST_VOIDS:
        yield Point(Code.SPF_VOID_LOOKUPS, {**facts, "count": str(empty)})
    everybody = _everybody(node)
    if everybody is spf.Result.PASS:
        yield Point(Code.SPF_OPEN, facts)
    elif everybody is spf.Result.NEUTRAL:
        yield Point(Code.SPF_UNDECIDED, facts)


def _broken(node: spf.Node) -> bool:
    """An include that is none, or no record, voids the whole (RFC 7208 §5.2)."""
    return node.state in {spf.State.NONE, spf.State.SEVERAL, spf.State.MALFORMED}


def _everybody(node: spf.Node | None) -> spf.Result | None:
    """What is said of mail from anywhere; None where that is not known."""
    if node is None or node.record is None:
        return None
    last = node.record.terms[-1] if node.record.terms else None
    if node.record.all is None and last is not None and last.name == "redirect":
        return _everybody(node.children.get(last.value))
    return node.record.all or spf.Result.NEUTRAL


def spf_passes(node: spf.Node, expected: Expected) -> bool:
    """Whether the record lets the connection's server send."""
    if expected.include:
        return spf.includes(node, expected.include)
    found = [spf.result_for(node, address) for address in expected.addresses]
    return bool(found) and all(result is spf.Result.PASS for result in found)


def _mechanism(expected: Expected) -> str:
    """What a record needs for the connection; "" where that is not known."""
    if expected.include:
        return f"include:{expected.include}"
    return " ".join(mechanisms(map(str, expected.addresses)))


def _lacking(node: spf.Node, expected: Expected) -> str:
    """The same, without the addresses that pass already."""
    if expected.include:
        return _mechanism(expected)
    lacking = [one for one in expected.addresses if spf.result_for(node, one) is not spf.Result.PASS]
    return " ".join(mechanisms(map(str, lacking)))


# DKIM


def _dkim(published: Published, expected: Expected) -> Point:
    facts = {
        "domain": published.domain,
        "provider": expected.provider,
        "selectors": ", ".join(expected.selectors),
    }
    if not expected.selectors:
        return Point(Code.DKIM_UNTOLD, facts)
    by_state = {key.state: key for key in reversed(published.keys)}
    for state, code in (
        (KeyState.GOOD, Code.DKIM_OK),
        (KeyState.WEAK, Code.DKIM_WEAK),
        (KeyState.TOO_SHORT, Code.DKIM_WEAK),
        (KeyState.REVOKED, Code.DKIM_BROKEN),
        (KeyState.MALFORMED, Code.DKIM_BROKEN),
    ):
        if state in by_state:
            key = by_state[state]
            return Point(code, facts | {"selector": key.selector, "bits": str(key.bits or "")})
    return Point(Code.DKIM_NOT_FOUND if published.keys_known else Code.DKIM_UNKNOWN, facts)


def _signed(published: Published) -> bool:
    return any(key.state in {KeyState.GOOD, KeyState.WEAK} for key in published.keys)


# DMARC


def _dmarc(published: Published, expected: Expected) -> Iterator[Point]:
    record, facts = published.dmarc_record, {"domain": published.domain, "at": published.dmarc_at}
    if record is None:
        code = {
            Lookup.NONE: Code.DMARC_MISSING,
            Lookup.SEVERAL: Code.DMARC_SEVERAL,
            Lookup.MALFORMED: Code.DMARC_MALFORMED,
        }.get(published.dmarc, Code.DMARC_UNKNOWN)
        proposed = "v=DMARC1; p=none" if code is Code.DMARC_MISSING else ""
        yield Point(code, facts, _txt(f"_dmarc.{published.domain}", proposed))
        return
    policy = record.policy if published.dmarc_at == published.domain else record.below
    aligned = [
        name
        for name, holds in (
            ("SPF", spf_passes(published.spf, expected)),
            ("DKIM", _signed(published)),
        )
        if holds
    ]
    facts |= {"policy": policy.value, "record": record.text, "aligned": " + ".join(aligned)}
    # Only what is known not to pass is an alarm: a selector or a server that no preset knows may pass, and so
    # may what DNS does not tell just now.
    signed_known = bool(expected.selectors) and published.keys_known
    known = signed_known and bool(_mechanism(expected)) and _decided(published.spf)
    unproven = not aligned and known and policy is not Policy.NONE
    yield Point(Code.DMARC_UNPROVEN if unproven else Code.DMARC_OK, facts)


def _decided(node: spf.Node) -> bool:
    """Whether the tree by itself says who passes."""
    return _known(node) and not spf.opaque(node)


def _txt(name: str, value: str) -> DnsRecord | None:
    return DnsRecord(name, "TXT", value) if value else None
