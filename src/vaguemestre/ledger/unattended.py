"""What waits for a person: messages without a route, and doubts that nobody but a person may end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from vaguemestre.ledger.database import rows, writing
from vaguemestre.ledger.models import WaitingNotice
from vaguemestre.ledger.told import Waiting

# Both read ends of an index of what is in that state, which is short or empty. Of what is held both ends: the
# number of a message that came in pieces is below zero, and the latest of those are the lowest. What is in
# doubt has a connection: asked for it, SQLite takes the index of doubts, and looks through neither all that
# was ever sent (the sign) nor all that waits.
_HELD = """
SELECT d.id, d.connection_id, x.reason, m.uid FROM ledger_delivery d
JOIN ledger_message m ON m.id = d.message_id
JOIN ledger_explanation x ON x.id = d.explanation_id
WHERE d.id IN (
  (SELECT id FROM ledger_delivery WHERE state = 'held' ORDER BY message_id DESC LIMIT 1),
  (SELECT id FROM ledger_delivery WHERE state = 'held' ORDER BY message_id LIMIT 1)
)
ORDER BY d.id DESC LIMIT 1
"""
_IN_DOUBT = """
SELECT d.id, d.connection_id, x.reason, m.uid FROM ledger_delivery d
JOIN ledger_message m ON m.id = d.message_id
JOIN ledger_explanation x ON x.id = d.explanation_id
WHERE d.connection_id > 0 AND d.state = 'in_doubt' AND d.next_attempt_at IS NULL ORDER BY +d.id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Unattended:
    """One delivery that waits for a person.

    Attributes:
        reason: of its route or hold, as the delivery keeps it.
    """

    delivery: int
    connection_id: int | None
    message: str
    reason: dict[str, Any] = field(default_factory=dict)


def newest_held() -> Unattended | None:
    """The latest that has no route."""
    return _only(rows(_HELD, {}))


def newest_doubt() -> Unattended | None:
    """The latest in doubt that is not tried again by itself."""
    return _only(rows(_IN_DOUBT, {}))


def take_held() -> Unattended | None:
    """The latest that has no route, for the courier that took it to tell of it; another one gets none."""
    return _taken(Waiting.HELD, newest_held())


def take_doubt() -> Unattended | None:
    """The same of the latest in doubt."""
    return _taken(Waiting.IN_DOUBT, newest_doubt())


def _taken(kind: Waiting, newest: Unattended | None) -> Unattended | None:
    told = WaitingNotice.objects.filter(kind=kind.value)
    if newest is None:
        # What comes to wait next is news, though its number may be below that of what waited last.
        if told.exclude(delivery=0).exists():
            told.update(delivery=0)
        return None
    if told.filter(delivery__gte=newest.delivery).exists():
        return None
    with writing():
        WaitingNotice.objects.bulk_create([WaitingNotice(kind=kind.value)], ignore_conflicts=True)
        mine = told.filter(delivery__lt=newest.delivery).update(delivery=newest.delivery)
    return newest if mine else None


def _only(found: list[dict[str, Any]]) -> Unattended | None:
    if not found:
        return None
    row = found[0]
    return Unattended(row["id"], row["connection_id"], str(UUID(str(row["uid"]))), json.loads(row["reason"]))
