"""Who is the default sender, and who follows (L1).

At most one connection is the default at every instant: the previous one is demoted before the new one is set,
in the transaction of the change and under its lock. Whoever takes the default away says who follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vaguemestre.ledger import fields, journal
from vaguemestre.ledger.lookup import find
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.errors import Invalid


@dataclass(frozen=True)
class NoChoice:
    """Nothing was said about who follows the default."""


@dataclass(frozen=True)
class LeaveNone:
    """Nobody follows the default."""


@dataclass(frozen=True)
class Promote:
    """The connection `uid` follows the default."""

    uid: str


type Successor = NoChoice | LeaveNone | Promote


def settle_default(
    existing: Connection | None,
    state: fields.Clean,
    successor: Successor,
    actor: str,
    now: datetime,
) -> tuple[Connection, ...]:
    """Demote whoever is the default where this one becomes it; hand over where this one ceases to be."""
    was = existing is not None and existing.is_default
    if was and existing is not None and not (state["active"] and state["is_default"]):
        hand_over(existing, successor, actor, now)
        state["is_default"] = False
        return ()
    return () if was or not state["is_default"] else demote(actor, now)


def demote(actor: str, now: datetime) -> tuple[Connection, ...]:
    """Take the role from whoever has it; the answer says who that was. They stay active."""
    demoted = tuple(Connection.objects.filter(is_default=True))
    for connection in demoted:
        # Before the new one is set: the partial unique index allows one at every instant.
        Connection.objects.filter(pk=connection.pk).update(is_default=False, updated_at=now)
        journal.record(
            "connection", str(connection.uid), "demoted", actor, now, {"is_default": [True, False]}
        )
    return demoted


def hand_over(default: Connection, successor: Successor, actor: str, now: datetime) -> None:
    """Take the role from `default` and give it to the successor, if there is to be one.

    Raises:
        Conflict: who follows was not said.
        Refusal: the successor is unknown, inactive, or the default itself.
    """
    if isinstance(successor, NoChoice):
        message = (
            f"{default.name} is the default sender: say who follows it (successor), a connection or nobody."
        )
        raise Conflict("successor_needed", message, {"connection": default.name})
    demote(actor, now)
    if isinstance(successor, Promote):
        heir = _heir(successor.uid, default)
        Connection.objects.filter(pk=heir.pk).update(is_default=True, updated_at=now)
        journal.record("connection", str(heir.uid), "promoted", actor, now, {"is_default": [False, True]})


def _heir(uid: str, default: Connection) -> Connection:
    try:
        heir = find(uid)
    except Missing as missing:
        raise Refusal(Invalid("successor", "connection_unknown", str(missing))) from None
    if not heir.active or heir.pk == default.pk:
        message = "The successor must be another active connection."
        raise Refusal(Invalid("successor", "successor_inactive", message))
    return heir
