"""Which connection carries a message, and as whom it leaves (laws L2, L3 and L4).

`route` is a function of the request and the configuration: it promises an answer for every input, the
same for the same input whatever the order of the connections, never an inactive connection, and always the
reason. Rules are asked in the order of `RuleCode`; the first that decides wins, and the others stay in the
answer with what they would have said, so that `route explain` can list them all. It never fails; what cannot
be routed is a `Hold`. An unknown connection or stream is refused by the door before routing, so a name that
leads nowhere here was deleted after the message was accepted.

The reverse-path is the carrying connection's sender, or stays null (RFC 5321 §4.5.5).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.policy.decision import (
    Decision,
    Hold,
    Outcome,
    Reason,
    ReasonCode,
    Route,
    Rule,
    RuleCode,
    RuleWhy,
)

__all__ = [
    "Configuration",
    "ConnectionFacts",
    "Decision",
    "Hold",
    "Mode",
    "Outcome",
    "Reason",
    "ReasonCode",
    "Request",
    "Route",
    "Rule",
    "RuleCode",
    "RuleWhy",
    "parse_allowed_sender",
    "route",
]


class Mode(StrEnum):
    """What a default connection does (L2)."""

    OVERRIDE = "override"  # it carries everything
    FALLBACK = "fallback"  # it carries what nothing else matches


@dataclass(frozen=True)
class ConnectionFacts:
    """What routing knows of a connection.

    Attributes:
        id: its primary key.
        name: for reasons shown to its operator; internal, never part of what leaves.
        sender: the address recipients see in From.
        sender_name: display name beside it; "" for none.
        reply_to: its Reply-To as header text; "" for none.
        active: only active connections carry mail.
        is_default: at most one is, and it is active (L1).
        allowed_senders: as `parse_allowed_sender` returns them.
        created: rises with the time of creation; the oldest of several matches wins.
        backup: the connection that stands in while this one is out of order; not asked by `route`.
    """

    id: int
    name: str
    sender: Mailbox
    sender_name: str = ""
    reply_to: str = ""
    active: bool = True
    is_default: bool = False
    allowed_senders: tuple[str, ...] = ()
    created: int = 0
    backup: int | None = None

    def permits(self, sender: Mailbox) -> bool:
        """Whether a From may leave through this connection as it is."""
        return sender.key == self.sender.key or is_allowed(sender, self.allowed_senders)

    def holds(self, sender: Mailbox) -> bool:
        """Whether the allowed senders hold it exactly. An address `*@...` is no pattern here."""
        return sender.local != "*" and sender.key in self.allowed_senders

    def holds_domain(self, sender: Mailbox) -> bool:
        """Whether the allowed senders hold its domain."""
        return f"*@{sender.domain_ascii}" in self.allowed_senders


@dataclass(frozen=True)
class Configuration:
    """The connections and the instance's mode, as they are at one routing epoch."""

    mode: Mode
    connections: tuple[ConnectionFacts, ...]

    @cached_property
    def by_age(self) -> tuple[ConnectionFacts, ...]:
        """All, the oldest first."""
        return tuple(sorted(self.connections, key=lambda connection: (connection.created, connection.id)))

    @cached_property
    def active(self) -> tuple[ConnectionFacts, ...]:
        """The active ones, the oldest first."""
        return tuple(connection for connection in self.by_age if connection.active)

    @cached_property
    def default(self) -> ConnectionFacts | None:
        """The default, if there is one."""
        return next((connection for connection in self.active if connection.is_default), None)

    def find(self, connection_id: int) -> ConnectionFacts | None:
        """The connection of that id, active or not."""
        return next((connection for connection in self.connections if connection.id == connection_id), None)


@dataclass(frozen=True)
class Request:
    """What a message asks of routing.

    Attributes:
        from_: the original From.
        reply_to: the Reply-To header's text as it was given.
        explicit: the connection named by the submitter, or by a form.
        explicit_name: what the submitter called it, for the reason if it is gone.
        stream: the stream's key.
        stream_connection: the connection of that stream.
        stream_reply_to: the Reply-To of that stream; "" for none.
        null_reverse_path: whether the message came with `<>`.
    """

    from_: NamedMailbox | None = None
    reply_to: str | None = None
    explicit: int | None = None
    explicit_name: str = ""
    stream: str | None = None
    stream_connection: int | None = None
    stream_reply_to: str = ""
    null_reverse_path: bool = False


def is_allowed(sender: Mailbox, allowed: Collection[str]) -> bool:
    """Whether allowed senders, as `parse_allowed_sender` returns them, hold an address or its domain."""
    return sender.key in allowed or f"*@{sender.domain_ascii}" in allowed


def parse_allowed_sender(text: str, field: str = "allowed_senders") -> str:
    """The canonical form of an allowed sender: `name@example.org`, or `*@example.org` for a whole domain.

    Compared as `Mailbox.key` is: without regard to case, the domain in A-labels.

    Raises:
        Invalid: code `allowed_sender_syntax`, naming `field`.
    """
    try:
        return Mailbox.parse(text, field).key
    except Invalid:
        raise Invalid(
            field,
            "allowed_sender_syntax",
            "An allowed sender is an address such as name@example.org, or *@example.org for a whole domain.",
        ) from None


@dataclass(frozen=True)
class _Answer:
    """A rule's own answer, before it is known whether an earlier one decided.

    With a connection it routes, with `hold` it holds, with neither it has no match.
    """

    why: RuleWhy
    connection: ConnectionFacts | None = None
    hold: ReasonCode | None = None
    applicable: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def decides(self) -> bool:
        return self.connection is not None or self.hold is not None


def route(request: Request, configuration: Configuration) -> Decision:
    """The connection that carries a message and the sender it leaves with, or why it is held."""
    answers = [(code, ask(request, configuration)) for code, ask in _RULES]
    decisive = next(code for code, answer in answers if answer.decides)
    rules = tuple(_rule(code, answer, decisive) for code, answer in answers)
    answer = dict(answers)[decisive]
    if answer.connection is None:
        return Hold(Reason(answer.hold or ReasonCode.NO_ACTIVE_CONNECTION, answer.facts), rules)
    reason = Reason(ReasonCode(decisive.value), answer.facts)
    return _leave(request, answer.connection, reason, rules)


def _rule(code: RuleCode, answer: _Answer, decisive: RuleCode) -> Rule:
    if code is decisive:
        return Rule(code, Outcome.MATCHED, answer.why, answer.facts)
    if answer.decides:
        return Rule(code, Outcome.PASSED_OVER, RuleWhy.DECIDED_BEFORE, answer.facts)
    outcome = Outcome.PASSED_OVER if answer.applicable else Outcome.NOT_APPLICABLE
    return Rule(code, outcome, answer.why, answer.facts)


def _leave(request: Request, carrier: ConnectionFacts, reason: Reason, rules: tuple[Rule, ...]) -> Route:
    reverse_path = None if request.null_reverse_path else carrier.sender
    own = NamedMailbox(carrier.sender, carrier.sender_name)
    if reason.code is ReasonCode.DEFAULT_OVERRIDE:
        return Route(carrier.id, own, _text(carrier.reply_to), reverse_path, reason, rules)
    stays = request.from_ is not None and carrier.permits(request.from_.mailbox)
    sender = None if stays else own
    return Route(carrier.id, sender, _reply_to(request, carrier, sender), reverse_path, reason, rules)


def _reply_to(request: Request, carrier: ConnectionFacts, sender: NamedMailbox | None) -> str | None:
    own = _text(request.reply_to) or _text(request.stream_reply_to) or _text(carrier.reply_to)
    if own is not None or sender is None or request.from_ is None:
        return own
    return request.from_.header()


def _text(header: str | None) -> str | None:
    return header if header is not None and header.strip() else None


def _matched(connection: ConnectionFacts, **facts: str) -> _Answer:
    return _Answer(RuleWhy.MATCHED, connection, facts=_named(connection) | facts)


def _named(connection: ConnectionFacts) -> dict[str, str]:
    return {
        "connection": str(connection.id),
        "connection_name": connection.name,
        "connection_sender": connection.sender.address,
    }


def _inapplicable(why: RuleWhy, **facts: str) -> _Answer:
    return _Answer(why, applicable=False, facts=facts)


def _default_override(_: Request, configuration: Configuration) -> _Answer:
    if configuration.default is None:
        return _inapplicable(RuleWhy.NO_DEFAULT)
    if configuration.mode is Mode.FALLBACK:
        return _inapplicable(RuleWhy.MODE_IS_FALLBACK)
    return _matched(configuration.default)


def _explicit(request: Request, configuration: Configuration) -> _Answer:
    if request.explicit is None:
        return _inapplicable(RuleWhy.NOT_NAMED)
    facts = {"asked": request.explicit_name or str(request.explicit)}
    found = configuration.find(request.explicit)
    return _asked_for(found, facts, ReasonCode.EXPLICIT_INACTIVE, ReasonCode.EXPLICIT_GONE)


def _stream(request: Request, configuration: Configuration) -> _Answer:
    if request.stream is None:
        return _inapplicable(RuleWhy.NO_STREAM)
    if request.stream_connection is None:
        return _inapplicable(RuleWhy.STREAM_HAS_NONE, stream=request.stream)
    facts = {"stream": request.stream}
    found = configuration.find(request.stream_connection)
    return _asked_for(found, facts, ReasonCode.STREAM_INACTIVE, ReasonCode.STREAM_GONE)


def _asked_for(
    found: ConnectionFacts | None, facts: dict[str, str], inactive: ReasonCode, gone: ReasonCode
) -> _Answer:
    # What was asked for by name and cannot be had is held: never somebody else's account (L4).
    if found is None:
        return _Answer(RuleWhy.MATCHED, hold=gone, facts=facts)
    if not found.active:
        return _Answer(RuleWhy.MATCHED, hold=inactive, facts=_named(found) | facts)
    return _matched(found, **facts)


def _sender(request: Request, configuration: Configuration) -> _Answer:
    return _by_from(request, configuration, lambda connection, from_: connection.sender.key == from_.key)


def _allowed_sender(request: Request, configuration: Configuration) -> _Answer:
    return _by_from(request, configuration, ConnectionFacts.holds)


def _allowed_domain(request: Request, configuration: Configuration) -> _Answer:
    return _by_from(request, configuration, ConnectionFacts.holds_domain)


def _by_from(
    request: Request, configuration: Configuration, matches: Callable[[ConnectionFacts, Mailbox], bool]
) -> _Answer:
    if request.from_ is None:
        return _inapplicable(RuleWhy.NO_FROM)
    from_ = request.from_.mailbox
    facts = {"from": from_.address}
    found = [connection for connection in configuration.by_age if matches(connection, from_)]
    active = next((connection for connection in found if connection.active), None)
    if active is not None:
        return _matched(active, **facts)
    if found:
        return _Answer(RuleWhy.ONLY_INACTIVE, facts=_named(found[0]) | facts)
    return _Answer(RuleWhy.NO_MATCH, facts=facts)


def _default_fallback(_: Request, configuration: Configuration) -> _Answer:
    if configuration.default is None:
        return _inapplicable(RuleWhy.NO_DEFAULT)
    if configuration.mode is Mode.OVERRIDE:
        return _inapplicable(RuleWhy.MODE_IS_OVERRIDE)
    return _matched(configuration.default)


def _only_active(_: Request, configuration: Configuration) -> _Answer:
    active = configuration.active
    if len(active) == 1:
        return _matched(active[0])
    why = RuleWhy.SEVERAL_ACTIVE if active else RuleWhy.NONE_ACTIVE
    return _Answer(why, facts={"active": str(len(active))})


def _none(_: Request, configuration: Configuration) -> _Answer:
    several = bool(configuration.active)
    hold = ReasonCode.AMBIGUOUS if several else ReasonCode.NO_ACTIVE_CONNECTION
    why = RuleWhy.SEVERAL_ACTIVE if several else RuleWhy.NONE_ACTIVE
    return _Answer(why, hold=hold, facts={"active": str(len(configuration.active))})


_RULES: tuple[tuple[RuleCode, Callable[[Request, Configuration], _Answer]], ...] = (
    (RuleCode.DEFAULT_OVERRIDE, _default_override),
    (RuleCode.EXPLICIT, _explicit),
    (RuleCode.STREAM, _stream),
    (RuleCode.SENDER, _sender),
    (RuleCode.ALLOWED_SENDER, _allowed_sender),
    (RuleCode.ALLOWED_DOMAIN, _allowed_domain),
    (RuleCode.DEFAULT_FALLBACK, _default_fallback),
    (RuleCode.ONLY_ACTIVE, _only_active),
    (RuleCode.NONE, _none),
)
