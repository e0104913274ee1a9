"""Undoing the last change of the default sender, for a day: who was the default is it again.

Refused, with the reason, where that would not bring back what was: too late, the previous default deleted,
deactivated by somebody, or sending as somebody else since. Like every change it is one transaction under the
lock of the configuration, and waiting messages are routed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vaguemestre.ledger import connections, default_changes
from vaguemestre.ledger.connections import LeaveNone, Saved
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Connection, DefaultChange, Version
from vaguemestre.ledger.refusals import Conflict

WITHIN = timedelta(hours=24)

_APPEARANCE = {"sender_email", "sender_name", "reply_to"}  # what recipients would see again


@dataclass(frozen=True)
class Undoable:
    """The last change of the default, and whether it can be undone.

    Attributes:
        previous, chosen: None for nobody.
        until: when it ends to be possible.
        refusal: why it is not; None where it is.
    """

    previous: Connection | None
    chosen: Connection | None
    actor: str
    at: datetime
    until: datetime
    refusal: Conflict | None


def undoable(now: datetime) -> Undoable | None:
    """The last change, unless it is undone or over."""
    change = default_changes.latest()
    if change is None or change.undone_at is not None or change.at + WITHIN < now:
        return None
    return Undoable(
        change.previous, change.chosen, change.actor, change.at, change.at + WITHIN, _refusal(change, now)
    )


def undo(actor: str, now: datetime) -> Saved:
    """Give the role back; the answer is the connection that has it, or the one that had it.

    Raises:
        Conflict: there is nothing to undo, it is too late, or the previous default is not what it was.
    """
    with writing():
        lock(CONFIGURATION_LOCK)
        change = default_changes.latest()
        if change is None or change.undone_at is not None:
            raise Conflict("undo_nothing", "No change of the default sender is left to undo.")
        refusal = _refusal(change, now)
        if refusal is not None:
            raise refusal
        saved = _given_back(change, actor, now)
        DefaultChange.objects.filter(undone_at=None).update(undone_at=now)
    return saved


def _given_back(change: DefaultChange, actor: str, now: datetime) -> Saved:
    previous, chosen = change.previous, change.chosen
    if previous is not None:
        values = {"is_default": True} | ({"active": True} if change.deactivated else {})
        return connections.edit(str(previous.uid), values, actor, now)
    if chosen is None:
        raise Conflict("undo_nothing", "No change of the default sender is left to undo.")
    return connections.edit(str(chosen.uid), {"is_default": False}, actor, now, LeaveNone())


def _refusal(change: DefaultChange, now: datetime) -> Conflict | None:
    previous = change.previous
    if change.at + WITHIN < now:
        return Conflict("undo_late", "The default sender changed more than 24 hours ago; name it by hand.")
    if previous is None:
        return None
    facts = {"connection": previous.name}
    if previous.deleted_at is not None:
        return Conflict("undo_gone", f"{previous.name} was deleted; it cannot be the default again.", facts)
    if not previous.active and not change.deactivated:
        message = f"{previous.name} was deactivated since; activate it, then name it the default."
        return Conflict("undo_inactive", message, facts)
    if _appears_otherwise(change, previous):
        message = f"{previous.name} has another sender or reply address since: look at it first."
        return Conflict("undo_changed", message, facts)
    return None


def _appears_otherwise(change: DefaultChange, previous: Connection) -> bool:
    since = Version.objects.filter(kind="connection", subject=str(previous.uid), at__gt=change.at)
    return any(_APPEARANCE & set(changes) for changes in since.values_list("changes", flat=True))
