"""What a courier needs to know of the lanes: which have work, what their connections are, how they fare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from vaguemestre.ledger import hops, vault, verifications
from vaguemestre.ledger.database import as_json, execute, in_index_order, moment, recordset, rows
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.models import Connection, Lane
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.priority import RANKS
from vaguemestre.mail.state import Health
from vaguemestre.mail.validity import Validity
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.manner import Ladder, remembered
from vaguemestre.policy.turns import late
from vaguemestre.smtp.hop import NextHop

# When the first delivery of a rank is due. It stops at the first row of the index of what is due (EXISTS
# would let PostgreSQL read all of them once).
_FIRST = """
       (
         SELECT d.next_attempt_at FROM ledger_delivery d
         WHERE d.connection_id = c.id AND (d.state = 'queued' OR d.state = 'in_doubt') AND d.rank = {rank}
           AND d.next_attempt_at <= %(until)s AND d.route_epoch = i.routing_epoch
         ORDER BY d.next_attempt_at, d.id LIMIT 1
       ) AS first_{rank}
"""

# One look at all lanes: active connections, their health, and when the first thing there is due.
_SURVEY = f"""
SELECT c.id, c.version, c.health, c.health_why, c.health_text, c.health_until, c.health_step,
       c.health_since, c.broken_running, c.max_sessions, l.manner, l.manner_why, l.manner_at,
       l.manner_version, l.certificate_ends_at, l.certificate_starts_at, c.mechanism, i.routing_epoch,
{",".join(_FIRST.format(rank=rank) for rank in RANKS.values())}
FROM ledger_instance i CROSS JOIN ledger_connection c JOIN ledger_lane l ON l.connection_id = c.id
WHERE c.active
ORDER BY c.id
"""  # noqa: S608  of constants

_ACTIVITY = """
UPDATE ledger_lane AS l SET activity = told.activity
FROM {told} WHERE l.connection_id = told.connection AND l.epoch = told.epoch
"""


@dataclass(frozen=True)
class LaneFacts:
    """A lane at one moment.

    Attributes:
        version: of the connection's settings; another version, another session.
        due: whether a delivery could be claimed now.
        next_at: when the next one will be, as far as the look went ahead.
        late: the ranks that have waited too long for their turn (`policy.turns`).
        routing_epoch: of the installation.
        max_sessions: at once; None where the connection says nothing.
        mechanism: of SASL, that its settings were verified with.
        validity: of the server's certificate, as last seen.
        ladder: how its server is spoken to, as learned for these settings.
    """

    connection_id: int
    version: int
    health: HealthState
    due: bool
    max_sessions: int | None
    ladder: Ladder
    next_at: datetime | None = None
    late: tuple[int, ...] = ()
    routing_epoch: int = 0
    mechanism: str = ""
    validity: Validity | None = None


def survey(now: datetime, ahead: timedelta = timedelta()) -> list[LaneFacts]:
    """The lanes of all active connections, and what becomes due within `ahead`."""
    with in_index_order():
        found = rows(_SURVEY, {"until": now + ahead})
    return [_facts(row, now) for row in found]


def hop_of(connection_id: int) -> NextHop:
    """Where a connection's sessions dial, with its secret; a token is asked for when one dials.

    Raises:
        vault.KeyMissing, vault.Unreadable: the secret cannot be had; nothing may be dialled.
    """
    connection = Connection.objects.get(pk=connection_id)
    secret = vault.secret_of(connection)
    return hops.hop(connection, None if connection.auth == AuthKind.OAUTH2 else secret)


def keep_ladder(lease: Lease, version: int, ladder: Ladder) -> None:
    """Remember the manner that a server takes, for that version of the connection's settings."""
    Lane.objects.filter(connection_id=lease.connection_id, epoch=lease.epoch).update(
        manner=ladder.manner.value, manner_why=ladder.why, manner_at=ladder.at, manner_version=version
    )


def keep_certificate(lease: Lease, validity: Validity | None) -> None:
    """Remember the certificate that a session was shown; None where its end does not matter."""
    mine = Lane.objects.filter(connection_id=lease.connection_id, epoch=lease.epoch)
    verifications.keep_validity(mine, validity)


def keep_activities(activities: Mapping[Lease, Mapping[str, object]], now: datetime) -> None:
    """Write down what lanes are doing, for people."""
    told = [
        {
            "connection": lease.connection_id,
            "epoch": lease.epoch,
            "activity": {**doing, "at": now.isoformat()},
        }
        for lease, doing in activities.items()
    ]
    source = recordset("told", connection="bigint", epoch="bigint", activity="jsonb")
    execute(_ACTIVITY.format(told=source), {"told": as_json(told)})


def _facts(row: dict[str, Any], now: datetime) -> LaneFacts:
    health = HealthState(
        state=Health(row["health"]),
        why=row["health_why"],
        text=row["health_text"],
        until=None if row["health_until"] is None else moment(row["health_until"]),
        step=row["health_step"],
        broken_running=row["broken_running"],
        since=None if row["health_since"] is None else moment(row["health_since"]),
    )
    learned_at = None if row["manner_at"] is None else moment(row["manner_at"])
    ladder = Ladder(Manner(row["manner"]), row["manner_why"], learned_at)
    ladder = remembered(ladder, row["manner_version"], row["version"], now)
    found = {rank: row[f"first_{rank}"] for rank in RANKS.values()}
    firsts = {rank: moment(at) for rank, at in found.items() if at is not None}
    first_at = min(firsts.values(), default=None)
    due = first_at is not None and first_at <= now
    return LaneFacts(
        connection_id=row["id"],
        version=row["version"],
        health=health,
        due=due,
        max_sessions=row["max_sessions"],
        ladder=ladder,
        next_at=None if due else first_at,
        late=late(firsts, now),
        routing_epoch=row["routing_epoch"],
        mechanism=row["mechanism"],
        validity=_validity(row),
    )


def _validity(row: dict[str, Any]) -> Validity | None:
    ends_at, starts_at = row["certificate_ends_at"], row["certificate_starts_at"]
    if ends_at is None:
        return None
    return Validity(moment(ends_at), None if starts_at is None else moment(starts_at))
