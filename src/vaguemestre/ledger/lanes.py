"""What a courier needs to know of the lanes: which have work, what their connections are, how they fare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from vaguemestre.ledger import hops, vault, verifications
from vaguemestre.ledger.database import as_json, execute, in_index_order, moment, recordset
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.models import Connection, Lane
from vaguemestre.ledger.statements import tuples
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

# One look at all lanes: active connections, their health, and when the first thing there is due. None while
# sending is paused.
_SURVEY = f"""
SELECT c.id, c.version, c.health, c.health_why, c.health_text, c.health_until, c.health_step,
       c.health_since, c.broken_running, c.max_sessions, l.manner, l.manner_why, l.manner_at,
       l.manner_version, l.certificate_ends_at, l.certificate_starts_at, c.mechanism, i.routing_epoch,
{",".join(_FIRST.format(rank=rank) for rank in RANKS.values())}
FROM ledger_instance i CROSS JOIN ledger_connection c JOIN ledger_lane l ON l.connection_id = c.id
WHERE c.active AND i.paused = ''
ORDER BY c.id
"""  # noqa: S608  of constants


class _Seen(NamedTuple):
    """A row of `_SURVEY`, but for the times behind it: those of the ranks, in their order."""

    id: int
    version: int
    health: str
    health_why: str
    health_text: str
    health_until: object
    health_step: int
    health_since: object
    broken_running: int
    max_sessions: int | None
    manner: str
    manner_why: str
    manner_at: object
    manner_version: int
    certificate_ends_at: object
    certificate_starts_at: object
    mechanism: str
    routing_epoch: int


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
    """The lanes of all active connections, and what becomes due within `ahead`; while paused, none."""
    with in_index_order():
        found = tuples(_SURVEY, {"until": now + ahead})
    size = len(_Seen._fields)
    return [_facts(_Seen(*row[:size]), row[size:], now) for row in found]


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


def _facts(seen: _Seen, ranked: Iterable[object], now: datetime) -> LaneFacts:
    health = HealthState(
        state=Health(seen.health),
        why=seen.health_why,
        text=seen.health_text,
        until=_moment(seen.health_until),
        step=seen.health_step,
        broken_running=seen.broken_running,
        since=_moment(seen.health_since),
    )
    ladder = Ladder(Manner(seen.manner), seen.manner_why, _moment(seen.manner_at))
    ladder = remembered(ladder, seen.manner_version, seen.version, now)
    firsts = {rank: moment(at) for rank, at in zip(RANKS.values(), ranked, strict=True) if at is not None}
    first_at = min(firsts.values(), default=None)
    due = first_at is not None and first_at <= now
    ends_at = _moment(seen.certificate_ends_at)
    return LaneFacts(
        connection_id=seen.id,
        version=seen.version,
        health=health,
        due=due,
        max_sessions=seen.max_sessions,
        ladder=ladder,
        next_at=None if due else first_at,
        late=late(firsts, now),
        routing_epoch=seen.routing_epoch,
        mechanism=seen.mechanism,
        validity=None if ends_at is None else Validity(ends_at, _moment(seen.certificate_starts_at)),
    )


def _moment(value: object) -> datetime | None:
    return None if value is None else moment(value)
