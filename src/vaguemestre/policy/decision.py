"""The answer of routing: a route or a hold, its reason, and every rule with what became of it.

Codes and facts only; the texts are made at the edge, in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vaguemestre.mail.mailbox import Mailbox, NamedMailbox


class RuleCode(StrEnum):
    """The rules, in the order in which they are asked."""

    DEFAULT_OVERRIDE = "default_override"
    EXPLICIT = "explicit"
    STREAM = "stream"
    SENDER = "sender"
    ALLOWED_SENDER = "allowed_sender"
    ALLOWED_DOMAIN = "allowed_domain"
    DEFAULT_FALLBACK = "default_fallback"
    ONLY_ACTIVE = "only_active"
    NONE = "none"


class ReasonCode(StrEnum):
    """Why a message is routed as it is: the rule that decided, or what keeps it."""

    DEFAULT_OVERRIDE = "default_override"
    EXPLICIT = "explicit"
    STREAM = "stream"
    SENDER = "sender"
    ALLOWED_SENDER = "allowed_sender"
    ALLOWED_DOMAIN = "allowed_domain"
    DEFAULT_FALLBACK = "default_fallback"
    ONLY_ACTIVE = "only_active"
    # the reasons of a Hold
    NO_ACTIVE_CONNECTION = "no_active_connection"
    EXPLICIT_INACTIVE = "explicit_inactive"
    EXPLICIT_GONE = "explicit_gone"
    STREAM_INACTIVE = "stream_inactive"
    STREAM_GONE = "stream_gone"
    AMBIGUOUS = "ambiguous"


class Outcome(StrEnum):
    """What became of a rule."""

    MATCHED = "matched"  # it decided
    PASSED_OVER = "passed_over"  # it was asked without a match, or an earlier rule had decided
    NOT_APPLICABLE = "not_applicable"  # the message or the configuration has nothing for it to ask about


class RuleWhy(StrEnum):
    """Why a rule has its outcome."""

    MATCHED = "matched"
    DECIDED_BEFORE = "decided_before"  # it would have matched; an earlier rule won
    NO_DEFAULT = "no_default"
    MODE_IS_FALLBACK = "mode_is_fallback"
    MODE_IS_OVERRIDE = "mode_is_override"
    NOT_NAMED = "not_named"  # the message names no connection
    NO_STREAM = "no_stream"
    STREAM_HAS_NONE = "stream_has_none"  # the stream has no connection of its own
    NO_FROM = "no_from"
    NO_MATCH = "no_match"
    ONLY_INACTIVE = "only_inactive"  # a connection would match, but it is inactive
    NONE_ACTIVE = "none_active"
    SEVERAL_ACTIVE = "several_active"


@dataclass(frozen=True)
class Reason:
    """Why, for people: a code that the edge translates, and what its text may show."""

    code: ReasonCode
    facts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the ledger and the API."""
        return {"code": self.code.value, "facts": dict(self.facts)}


@dataclass(frozen=True)
class Rule:
    """One rule, and what became of it."""

    code: RuleCode
    outcome: Outcome
    why: RuleWhy
    facts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the ledger and the API."""
        return {
            "code": self.code.value,
            "outcome": self.outcome.value,
            "why": self.why.value,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True)
class Route:
    """A message leaves, and this is how.

    Attributes:
        connection_id: the connection that carries it.
        sender: the From that leaves; None leaves the original as it is, name included.
        reply_to: the Reply-To that leaves, as header text; None for none.
        reverse_path: the envelope's; None is the null reverse-path.
        reason: the rule that decided.
        rules: every rule, in order.
    """

    connection_id: int
    sender: NamedMailbox | None
    reply_to: str | None
    reverse_path: Mailbox | None
    reason: Reason
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Hold:
    """A message waits, and this is why."""

    reason: Reason
    rules: tuple[Rule, ...]


type Decision = Route | Hold
