"""What a courier needs to know of the lanes: which have work, what their connections are, how they fare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

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
from vaguemestre.mail.value import value
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
# sending is paused. CROSS keeps SQLite to this order of the tables: in another one it makes an index of the
# one row of the instance, at each look. There is no order, which it would make by a table of its own.
_SURVEY = f"""
SELECT c.id, c.version, c.health, c.health_why, c.health_text, c.health_until, c.health_step,
       c.health_since, c.broken_running, c.max_sessions, l.manner, l.manner_why, l.manner_at,
       l.manner_version, l.certificate_ends_at, l.certificate_starts_at, c.mechanism, i.routing_epoch,
{",".join(_FIRST.format(rank=rank) for rank in RANKS.values())}
FROM ledger_instance i CROSS JOIN ledger_connection c CROSS JOIN ledger_lane l
WHERE l.connection_id = c.id AND c.active AND i.paused = ''
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


_PLACES = tuple(enumerate(RANKS.values(), len(_Seen._fields)))  # in a row


_ACTIVITY = """
UPDATE ledger_lane AS l SET activity = told.activity
FROM {told} WHERE l.connection_id = told.connection AND l.epoch = told.epoch
"""


@value
class LaneFacts:
    """A lane at one moment.

    Attributes:
        version: of the connection's settings; another version, another session.
        due: the ranks of which a delivery could be claimed now, the first first.
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
    due: tuple[int, ...]
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
    found.sort()  # by the connections' numbers, of which none is there twice
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


def _facts(row: tuple[Any, ...], now: datetime) -> LaneFacts:
    seen, health, ladder, validity = _standing(row[: -len(_PLACES)])
    firsts = {rank: moment(row[place]) for place, rank in _PLACES if row[place] is not None}
    due = tuple([rank for rank, at in firsts.items() if at <= now])
    return LaneFacts(  # by place: a call by names takes twice as long
        seen.id,
        seen.version,
        health,
        due,
        seen.max_sessions,
        remembered(ladder, seen.manner_version, seen.version, now),
        None if due else min(firsts.values(), default=None),
        late(firsts, now) if due else (),
        seen.routing_epoch,
        seen.mechanism,
        validity,
    )


@lru_cache(maxsize=1_024)
def _standing(row: tuple[Any, ...]) -> tuple[_Seen, HealthState, Ladder, Validity | None]:
    """A row with what it says of health, manner and certificate: mostly the same as at the look before."""
    seen = _Seen._make(row)
    health = HealthState(
        state=Health(seen.health),
        why=seen.health_why,
        text=seen.health_text,
        until=_moment(seen.health_until),
        step=seen.health_step,
        broken_running=seen.broken_running,
        since=_moment(seen.health_since),
    )
    ends_at = _moment(seen.certificate_ends_at)
    validity = None if ends_at is None else Validity(ends_at, _moment(seen.certificate_starts_at))
    return seen, health, Ladder(Manner(seen.manner), seen.manner_why, _moment(seen.manner_at)), validity


def _moment(value: object) -> datetime | None:
    return None if value is None else moment(value)
