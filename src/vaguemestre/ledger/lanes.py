"""What a courier needs to know of the lanes: which have work, what their connections are, how they fare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vaguemestre.ledger import hops, vault
from vaguemestre.ledger.database import rows
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState
from vaguemestre.smtp.hop import NextHop

# One look at all lanes: active connections, their health, and whether anything is due there. The subquery
# stops at the first row of the index of what is due.
_SURVEY = """
SELECT c.id, c.version, c.health, c.health_why, c.health_text, c.health_until, c.health_step,
       c.health_since, c.broken_running, c.max_sessions,
       EXISTS (
         SELECT 1 FROM ledger_delivery d
         WHERE d.connection_id = c.id AND d.state IN ('queued', 'in_doubt') AND d.next_attempt_at <= %(now)s
           AND d.route_epoch = i.routing_epoch
       ) AS due
FROM ledger_connection c, ledger_instance i
WHERE c.active
ORDER BY c.id
"""


@dataclass(frozen=True)
class LaneFacts:
    """A lane at one moment.

    Attributes:
        version: of the connection's settings; another version, another session.
        due: whether a delivery could be claimed now.
        max_sessions: at once; None where the connection says nothing.
    """

    connection_id: int
    version: int
    health: HealthState
    due: bool
    max_sessions: int | None


def survey(now: datetime) -> list[LaneFacts]:
    """The lanes of all active connections."""
    return [_facts(row) for row in rows(_SURVEY, {"now": now})]


def hop_of(connection_id: int) -> NextHop:
    """Where a connection's sessions dial, with its secret.

    Raises:
        vault.KeyMissing, vault.Unreadable: the secret cannot be had; nothing may be dialled.
    """
    connection = Connection.objects.get(pk=connection_id)
    return hops.hop(connection, vault.secret_of(connection))


def _facts(row: dict[str, Any]) -> LaneFacts:
    health = HealthState(
        state=Health(row["health"]),
        why=row["health_why"],
        text=row["health_text"],
        until=_moment(row["health_until"]),
        step=row["health_step"],
        broken_running=row["broken_running"],
        since=_moment(row["health_since"]),
    )
    return LaneFacts(row["id"], row["version"], health, bool(row["due"]), row["max_sessions"])


def _moment(value: object) -> datetime | None:
    """A time of a hand-written statement: SQLite's driver knows no zone, and what is stored is UTC."""
    if value is None:
        return None
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=found.tzinfo or UTC)
