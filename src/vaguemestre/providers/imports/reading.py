"""What a pasted text holds: connections, and the lines that were not understood.

Values stand under the names of a connection's resource, as text, and are judged where a typed form is. A
line that was not understood is told by its number and the name that it sets, never by its value: it may hold
a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from vaguemestre.mail.secret import Secret


class Kind(StrEnum):
    """What a text is."""

    ENV = "env"
    URL = "url"
    DJANGO = "django"
    WORDPRESS = "wordpress"
    POSTFIX = "postfix"


class Why(StrEnum):
    """Why a line was not understood."""

    UNKNOWN = "unknown"  # a setting about mail that has no counterpart here
    VALUE = "value"  # its value cannot be used
    ELSEWHERE = "elsewhere"  # its value is made, or kept, somewhere else
    MAILER = "mailer"  # mail does not leave by SMTP there
    OPPORTUNISTIC = "opportunistic"  # encryption was optional, and is required here
    MX = "mx"  # the name stands for its MX hosts, which are not looked up here
    SYNTAX = "syntax"


@dataclass(frozen=True)
class Unread:
    """A line that was not understood.

    Attributes:
        line: its number, from 1.
        name: what it sets, "" where that cannot be told.
    """

    line: int
    name: str
    why: Why


def in_order(unread: Iterable[Unread]) -> tuple[Unread, ...]:
    """As they stand in the text, each once."""
    return tuple(sorted({*unread}, key=lambda one: (one.line, one.name)))


@dataclass(frozen=True)
class Found:
    """One connection of the text.

    Attributes:
        name: how the text calls it, for choosing among several; "" where it has no name.
        values: fields of a connection's resource as typed text, limits within `limits`.
    """

    name: str
    values: Mapping[str, object]
    password: Secret | None = None

    @property
    def label(self) -> str:
        """What to call it, for want of a better name."""
        return self.name or str(self.values.get("sender_email") or self.values.get("host") or "")

    def typed(self) -> dict[str, object]:
        """Its values as they would be typed, password included."""
        secret = {} if self.password is None else {"password": self.password.reveal()}
        return {"name": self.label, **self.values, **secret}


@dataclass(frozen=True)
class Reading:
    """All that a text holds."""

    kind: Kind
    found: tuple[Found, ...]
    unread: tuple[Unread, ...]
