"""What the ledger knows for "when will it leave?" and "what is it doing, and why not?".

It gathers the facts that `policy.outlook` and `policy.lane_outlook` judge, with a handful of statements that
cost the same at a million queued deliveries as at ten thousand: each follows an index, and counts end at
`MOST`. What a courier last wrote of itself counts for 15 s. Nothing is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vaguemestre.ledger import allowance, leases, sending
from vaguemestre.ledger.backups import Pair
from vaguemestre.ledger.database import lease_time, moment, rows
from vaguemestre.ledger.doubts import on_doubt
from vaguemestre.ledger.health import health_of
from vaguemestre.ledger.instance import epoch
from vaguemestre.ledger.models import Connection, Delivery
from vaguemestre.ledger.models import Lane as LaneRow
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.priority import RANKS
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy import lane_outlook, outlook
from vaguemestre.policy.lane_outlook import Activity, Work
from vaguemestre.policy.manner import Ladder, remembered
from vaguemestre.policy.outlook import ZERO, Count, DeliveryFacts, Lane, Limit, LimitKind, Outlook
from vaguemestre.policy.schedule import expired

MOST = 10_000  # counted; of more it is only said that it is more

_OF_LANE = (
    "FROM ledger_delivery WHERE connection_id = %(connection)s AND (state = 'queued' OR state = 'in_doubt')"
)
_RANKS = tuple(RANKS.values())
# By the index of what is due, whose condition the literals are; all ranks, each a stretch of it.
_DUE = f"{_OF_LANE} AND rank IN {_RANKS} AND next_attempt_at"


def _first(condition: str) -> str:
    """The earliest time of all ranks: the first of each stretch."""
    firsts = (
        f"SELECT (SELECT next_attempt_at {_OF_LANE} AND rank = {rank} AND next_attempt_at {condition}"
        " ORDER BY next_attempt_at LIMIT 1) AS at"
        for rank in _RANKS
    )
    return f"(SELECT MIN(at) FROM ({' UNION ALL '.join(firsts)}) AS firsts)"  # noqa: S608  of constants


# The work of a lane. Each count stops at the limit.
_WORK = f"""
SELECT
  (SELECT COUNT(*) FROM (SELECT 1 {_DUE} <= %(now)s LIMIT %(limit)s) AS found) AS due,
  (SELECT COUNT(*) FROM (SELECT 1 {_DUE} > %(now)s LIMIT %(limit)s) AS found) AS later,
  (SELECT COUNT(*) FROM (
     SELECT 1 FROM ledger_delivery WHERE connection_id = %(connection)s AND state = 'claimed' LIMIT %(limit)s
   ) AS found) AS claimed,
  (SELECT COUNT(*) FROM (
     SELECT 1 FROM ledger_delivery WHERE connection_id = %(connection)s AND state = 'in_doubt' LIMIT %(limit)s
   ) AS found) AS in_doubt,
  {_first("<= %(now)s")} AS oldest_due_at,
  {_first("> %(now)s")} AS next_attempt_at
"""  # noqa: S608  of constants

# Held for a connection that carries no mail: what asks for it, by name or by its stream, of the first held.
_HELD = """
SELECT COUNT(*) AS seen,
       COUNT(CASE WHEN COALESCE(m.explicit_id, s.connection_id) = %(connection)s THEN 1 END) AS held
FROM (SELECT message_id FROM ledger_delivery WHERE state = 'held' LIMIT %(limit)s) AS d
JOIN ledger_message m ON m.id = d.message_id
LEFT JOIN ledger_stream s ON s.id = m.stream_id
"""


def _claimed_before(rank: int) -> str:
    """How many a courier claims before one of that rank, in its order.

    The ranks that come sooner are named: SQLite would read all that is due for a rank below a parameter.
    """
    sooner = ", ".join(str(one) for one in _RANKS if one < rank) or "NULL"
    return f"""
SELECT (SELECT COUNT(*) FROM (
  SELECT 1 {_OF_LANE} AND rank IN ({sooner}) AND next_attempt_at <= %(now)s LIMIT %(limit)s
) AS sooner) + (SELECT COUNT(*) FROM (
  SELECT 1 {_OF_LANE} AND rank = {rank} AND next_attempt_at <= %(due)s
    AND (next_attempt_at, id) < (%(due)s, %(delivery)s) LIMIT %(limit)s
) AS before) AS ahead
"""  # noqa: S608  of constants


_AHEAD = {rank: _claimed_before(rank) for rank in _RANKS}


@dataclass(frozen=True)
class LaneNow:
    """A connection's lane as its page shows it.

    Attributes:
        ladder: how transactions are written to its server, as far as it was learned.
    """

    outlook: Outlook
    work: Work
    ladder: Ladder


def of_deliveries(deliveries: Sequence[Delivery], now: datetime) -> list[Outlook]:
    """The outlook of each delivery, in their order; of those of a connection as of the first that leaves."""
    moving = [one for one in deliveries if one.state in _IN_A_LANE and one.connection is not None]
    current = epoch() if moving else 0
    pause = sending.paused() if any(not DeliveryState(one.state).terminal for one in deliveries) else None
    ahead = _ahead(moving, now)
    lanes = _lanes({one.connection for one in moving if one.connection is not None}, ahead, now)
    return [
        outlook.of_delivery(
            _facts(one, current, ahead.get(one.connection_id or 0, ZERO)),
            lanes.get(one.connection_id or 0),
            now,
            pause,
        )
        for one in deliveries
    ]


def of_connection(connection: Connection, now: datetime) -> LaneNow:
    """What a connection's lane is doing, and why not."""
    lane = _lanes({connection}, {}, now)[connection.pk]
    row = LaneRow.objects.filter(connection=connection).first()
    work = _work(connection, row, now)
    found = lane_outlook.of_lane(lane, work, now, sending.paused())
    return LaneNow(found, work, _ladder(connection, row, now))


_IN_A_LANE = {DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_DOUBT}


def _lanes(connections: Collection[Connection], ahead: Mapping[int, Count], now: datetime) -> dict[int, Lane]:
    """Each as it stands to what has `ahead` deliveries before it, by connection."""
    if not connections:
        return {}
    courier, at = leases.courier_alive(now), lease_time(now)
    kept = {row.connection_id: row for row in LaneRow.objects.filter(connection__in=connections)}
    return {
        connection.pk: Lane(
            name=connection.name,
            active=connection.active,
            health=health_of(connection),
            courier=courier,
            served=_served(kept.get(connection.pk), at),
            limit=_limit(connection, ahead.get(connection.pk, ZERO), now),
            backup=_stand_in(connection, now),
        )
        for connection in connections
    }


def _served(row: LaneRow | None, at: datetime) -> bool:
    if row is None or not row.holder or row.renewed_at is None:
        return False
    return row.renewed_at >= at - leases.LOST_AFTER and not leases.holder_is_dead(row.holder)


def _limit(connection: Connection, ahead: Count, now: datetime) -> Limit | None:
    """The limit that keeps what has so many ahead of it; of two the one that lasts."""
    if connection.per_minute is None and connection.per_day is None:
        return None
    back = allowance.returning(connection.pk, 1, now, ahead.number)
    if back.at is not None and back.at <= now:
        return None
    kind = LimitKind(back.limit)
    tokens = connection.per_minute if kind is LimitKind.PER_MINUTE else connection.per_day
    return Limit(kind, tokens or 0, back.at)


def _ahead(deliveries: Iterable[Delivery], now: datetime) -> dict[int, Count]:
    """For each connection, what is due before the first of these; they travel together."""
    first: dict[int, tuple[int, datetime, int]] = {}
    for one in deliveries:
        if one.connection_id is None or one.next_attempt_at is None or one.next_attempt_at > now:
            continue
        place = (one.rank, one.next_attempt_at, one.pk)
        first[one.connection_id] = min(place, first.get(one.connection_id, place))
    return {connection: _before(connection, place, now) for connection, place in first.items()}


def _before(connection: int, place: tuple[int, datetime, int], now: datetime) -> Count:
    rank, due, delivery = place
    asked = {"connection": connection, "due": due, "delivery": delivery}
    return _count(rows(_AHEAD[rank], asked | {"now": now, "limit": MOST + 1})[0]["ahead"])


def _facts(delivery: Delivery, current: int, ahead: Count) -> DeliveryFacts:
    trouble = delivery.trouble or {}
    return DeliveryFacts(
        state=DeliveryState(delivery.state),
        due_at=delivery.next_attempt_at,
        current=delivery.route_epoch >= current,
        tried=delivery.attempt is not None,
        why=str(trouble.get("why", "")),
        why_facts=trouble.get("facts") or {},
        said=said(delivery),
        last_try=expired(delivery.spent, delivery.retry_age),
        expires_at=delivery.expires_at,
        claimed_at=delivery.claimed_at,
        staged_at=delivery.staged_at,
        settled_at=delivery.settled_at,
        doubts=delivery.doubts,
        doubt_reason=delivery.doubt_reason,
        on_doubt=on_doubt(delivery.message),
        reason=delivery.reason,
        backup_for=delivery.backup_for.name if delivery.backup_for else "",
        ahead=ahead,
    )


def said(delivery: Delivery) -> Reply | None:
    """The server's words, unless the last trouble was another than they."""
    if delivery.last_code is None or (delivery.trouble or {}).get("cause", "reply") != "reply":
        return None
    return Reply(delivery.last_code, delivery.last_text)


def _stand_in(connection: Connection, now: datetime) -> str:
    """The name of the connection that carries its mail now."""
    pair = Pair(connection, connection.backup if connection.health != Health.READY else None)
    return pair.backup.name if pair.backup is not None and pair.in_use(now) else ""


def _work(connection: Connection, row: LaneRow | None, now: datetime) -> Work:
    (found,) = rows(_WORK, {"connection": connection.pk, "now": now, "limit": MOST + 1})
    return Work(
        due=_count(found["due"]),
        later=_count(found["later"]),
        claimed=_count(found["claimed"]),
        in_doubt=_count(found["in_doubt"]),
        held=ZERO if connection.active else _held(connection),
        oldest_due_at=_time(found["oldest_due_at"]),
        next_attempt_at=_time(found["next_attempt_at"]),
        activity=lane_outlook.recent(_activity(row), now),
    )


def _held(connection: Connection) -> Count:
    (found,) = rows(_HELD, {"connection": connection.pk, "limit": MOST + 1})
    return Count(found["held"], more=found["seen"] > MOST)


def _activity(row: LaneRow | None) -> Activity | None:
    """What the courier wrote of itself; None where it wrote nothing, or nothing that can be read."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        kept = {} if row is None else row.activity
        return Activity(
            sessions=int(kept["sessions"]),
            in_flight=int(kept["in_flight"]),
            window=int(kept["window"]),
            waiting=int(kept["waiting"]),
            at=_written_at(kept["at"]),
        )
    return None


def _written_at(at: float | str) -> datetime:
    return moment(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)


def _ladder(connection: Connection, row: LaneRow | None, now: datetime) -> Ladder:
    if row is None:
        return Ladder()
    kept = Ladder(Manner(row.manner), row.manner_why, row.manner_at)
    return remembered(kept, row.manner_version, connection.version, now)


def _time(stored: object) -> datetime | None:
    return None if stored is None else moment(stored)


def _count(number: int) -> Count:
    return Count(min(number, MOST), more=number > MOST)
