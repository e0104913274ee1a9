"""The connection that stands in for another one: when it does, and as whom a message then leaves.

A backup serves only while the first connection is LOCKED, or out of READY for over 5 minutes by being
THROTTLED (design, section 4); never for one that a person paused. It stands in for a route, not for a choice:
the reason stays, Reply-To stays, and the message leaves with the backup's own sender unless the backup may
send as the From that would have left (L4). Pure; nothing fails here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.mail.state import Health
from vaguemestre.policy.decision import Reason, Route
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.routing import ConnectionFacts

PATIENCE = timedelta(minutes=5)  # with a throttled connection: most throttles are over by then


def engaged(first: HealthState, now: datetime) -> bool:
    """Whether a backup serves for a connection of that health."""
    if first.state is Health.THROTTLED:
        return first.since is not None and now - first.since > PATIENCE
    return first.state is Health.LOCKED


def stand_in(route: Route, backup: ConnectionFacts, original: NamedMailbox | None) -> Route:
    """The route through `backup` instead of the connection of `route`.

    Args:
        route: what routing answered.
        backup: who carries the message in its place.
        original: the From that the message came with.
    """
    would_leave = route.sender or original
    permitted = would_leave is not None and backup.permits(would_leave.mailbox)
    return replace(
        route,
        connection_id=backup.id,
        sender=route.sender if permitted else NamedMailbox(backup.sender, backup.sender_name),
        reply_to=route.reply_to if permitted else _reply_to(route, original),
        reverse_path=None if route.reverse_path is None else backup.sender,
        reason=_reason(route.reason, backup),
    )


def _reply_to(route: Route, original: NamedMailbox | None) -> str | None:
    # A From that had to change only for the backup still gets its answers (L4).
    changed = route.sender is None and original is not None
    return original.header() if changed and route.reply_to is None and original else route.reply_to


def _reason(reason: Reason, backup: ConnectionFacts) -> Reason:
    """The same reason: its facts name the connection that it chose, and who stands in for that one."""
    return Reason(reason.code, {**reason.facts, "backup": str(backup.id), "backup_name": backup.name})
