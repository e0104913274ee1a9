"""What a change of the connections would do: the configuration as it would be, and what recipients would see.

Nothing is changed here: `routing` is asked under a configuration that does not exist yet. Pure; nothing
fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.policy.decision import Route
from vaguemestre.policy.routing import Configuration, ConnectionFacts


@dataclass(frozen=True)
class Shown:
    """What recipients see of where a message comes from.

    Attributes:
        from_: address and name; None for a message without a From.
        reply_to: the header's text; "" for none.
    """

    from_: tuple[str, str] | None
    reply_to: str

    @classmethod
    def by(cls, route: Route, original: NamedMailbox | None) -> Self:
        """As a message leaves by a route."""
        sender = route.sender or original
        return cls(None if sender is None else (sender.mailbox.wire, sender.name), route.reply_to or "")

    @classmethod
    def kept(cls, route: Mapping[str, object], original: Mapping[str, str] | None) -> Self:
        """As it left, by what the ledger keeps of both."""
        sender = route["sender"] or original
        named = (str(sender["email"]), str(sender["name"])) if isinstance(sender, Mapping) else None
        return cls(named, str(route["reply_to"] or ""))


def with_default(present: Configuration, chosen: ConnectionFacts) -> Configuration:
    """With `chosen`, saved as it stands there, as the default."""
    others = (replace(one, is_default=False) for one in present.connections if one.id != chosen.id)
    return Configuration(present.mode, (*others, replace(chosen, is_default=True, active=True)))


def without(present: Configuration, leaving: int, heir: int | None, *, deleted: bool) -> Configuration:
    """Without a connection, inactive or deleted; the `heir` follows it, if it was the default."""
    was = any(one.id == leaving and one.is_default for one in present.connections)
    after = []
    for one in present.connections:
        if one.id == leaving:
            after += [] if deleted else [replace(one, active=False, is_default=False)]
        else:
            after.append(replace(one, is_default=one.id == heir) if was else one)
    return Configuration(present.mode, tuple(after))
