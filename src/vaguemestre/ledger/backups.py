"""Backup connections at work: what waits for a connection that is out of order leaves through its backup.

A courier asks what is `concerned` and calls `move` for each. While `policy.backup.engaged` says so and the
backup is active and READY itself, what is due moves to the backup; what still waits there goes home when the
first connection works again, or when the backup does not. Only queued deliveries move, so nothing is failed
over that may have arrived (L6), and nothing is moved on from one backup to the next. The first connection
keeps one delivery to probe with at the end of a throttle.

Few wait at a backup at once: what it has not carried when the first connection recovers is soon back. Every
move is an event of the delivery. A newer routing epoch undoes all of it (`rerouting`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.ledger import explanations
from vaguemestre.ledger.accept import decide, decision_columns, named
from vaguemestre.ledger.database import on_postgresql, rows, writing
from vaguemestre.ledger.health import health_of
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.models import Connection, ConnectionNotice, Delivery, Event
from vaguemestre.mail.priority import RANKS
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy.backup import engaged, stand_in
from vaguemestre.policy.health import probing
from vaguemestre.policy.routing import Configuration, Route

BATCH = 500  # deliveries that wait at a backup for one connection, and of one transaction

_OUT_OF_ORDER = [Health.LOCKED.value, Health.THROTTLED.value]

# The connections that a backup may be needed for, and those for which one still holds something. The
# subquery reads the small index of what waits at backups.
_CONCERNED = """
SELECT c.id FROM ledger_connection c
WHERE (c.backup_id IS NOT NULL AND c.active AND c.health IN ('locked', 'throttled'))
   OR EXISTS (SELECT 1 FROM ledger_delivery d WHERE d.backup_for_id = c.id AND d.state = 'queued')
"""

# What is due there of one rank, in a lane's order.
_DUE = """
SELECT d.id FROM ledger_delivery d
WHERE d.connection_id = %(first)s AND d.state = 'queued'
  AND d.rank = %(rank)s AND d.next_attempt_at <= %(now)s AND d.route_epoch = %(epoch)s
  AND d.backup_for_id IS NULL
ORDER BY d.next_attempt_at, d.id LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Pair:
    """A connection and the one that stands in for it."""

    first: Connection
    backup: Connection | None

    def engaged(self, now: datetime) -> bool:
        """Whether the backup is to serve."""
        return self.first.active and engaged(health_of(self.first), now)

    @property
    def able(self) -> bool:
        """Whether the backup can serve: active, and READY itself."""
        return self.backup is not None and self.backup.active and self.backup.health == Health.READY

    def in_use(self, now: datetime) -> bool:
        """Whether it stands in now."""
        return self.able and self.engaged(now)

    def over(self, now: datetime) -> bool:
        """Whether what waits at the backup is to go home."""
        backup = self.backup
        lost = backup is None or backup.health == Health.PAUSED or engaged(health_of(backup), now)
        return lost or not self.engaged(now)


def concerned() -> list[Pair]:
    """The connections that `move` may have something to do for; nearly always none."""
    ids = [row["id"] for row in rows(_CONCERNED, {})]
    if not ids:
        return []
    found = Connection.objects.filter(pk__in=ids).select_related("backup").order_by("pk")
    return [Pair(connection, connection.backup) for connection in found]


def in_use(now: datetime) -> list[Pair]:
    """The backups that stand in now, for people."""
    out = Connection.objects.filter(active=True, health__in=_OUT_OF_ORDER, backup__active=True)
    pairs = [Pair(first, first.backup) for first in out.select_related("backup").order_by("name_key")]
    return [pair for pair in pairs if pair.in_use(now)]


def take_begun(standing_in: Sequence[Pair]) -> list[Pair]:
    """Of all that stand in now, those that nobody was told of since they began to, for the courier that took
    them.
    """
    found = {pair.first.pk: pair for pair in standing_in}
    kept = ConnectionNotice.objects.exclude(backup=None)
    told = dict(kept.values_list("connection_id", "backup_id"))
    begun = [pair for number, pair in found.items() if pair.backup and told.get(number) != pair.backup.pk]
    over = told.keys() - found.keys()
    if not begun and not over:
        return []
    with writing():
        ConnectionNotice.objects.filter(connection__in=over).update(backup=None)
        return [pair for pair in begun if _take(pair)]


def _take(pair: Pair) -> bool:
    ConnectionNotice.objects.bulk_create([ConnectionNotice(connection=pair.first)], ignore_conflicts=True)
    untold = ConnectionNotice.objects.filter(connection=pair.first).exclude(backup=pair.backup)
    return bool(untold.update(backup=pair.backup))


def move(pair: Pair, now: datetime, limit: int = BATCH) -> int:
    """Move one connection's deliveries as its health and its backup's ask."""
    if pair.in_use(now):
        return _out(pair, now, limit)
    return _home(pair, now, limit) if pair.over(now) else 0


def _out(pair: Pair, now: datetime, limit: int) -> int:
    with writing():
        current = epoch()  # before all that routing asks (L3)
        room = limit - _waiting(pair, current)[:limit].count()
        deliveries = _with_messages(_due(pair, now, current, room) if room > 0 else [])
        configured = configuration()
        backup = configured.find(pair.backup.pk) if pair.backup else None
        if backup is None or not deliveries:
            return 0
        moved = []
        for delivery in deliveries:
            route = _route(delivery, configured)
            if route is not None and route.connection_id == pair.first.pk:
                moved.append((delivery, stand_in(route, backup, named(delivery.message.header_from))))
        return _place(moved, pair.first, _told(pair, "backup"), current, now)


def _home(pair: Pair, now: datetime, limit: int) -> int:
    with writing():
        current = epoch()
        waiting = _waiting(pair, current)
        if on_postgresql():
            waiting = waiting.select_for_update(skip_locked=True, of=("self",))
        configured = configuration()
        deliveries = _with_messages(waiting.order_by("pk").values_list("pk", flat=True)[:limit])
        routes = [(delivery, _route(delivery, configured)) for delivery in deliveries]
        moved = [(delivery, route) for delivery, route in routes if route is not None]
        return _place(moved, None, _told(pair, "backup_over"), current, now)


def _due(pair: Pair, now: datetime, current: int, room: int) -> list[int]:
    """What moves, the urgent first; without what the first connection is to be probed with."""
    kept = 1 if _probes(pair.first, now) else 0
    asked = {"first": pair.first.pk, "now": now, "epoch": current}
    found: list[int] = []
    for rank in RANKS.values():
        limit = room + kept - len(found)
        found += [row["id"] for row in rows(_DUE + _locked(), asked | {"rank": rank, "limit": limit})]
    return found[kept:]


def _probes(first: Connection, now: datetime) -> bool:
    """Whether it is half-open and nothing of it is out yet: its lane needs one delivery to probe with."""
    out = Delivery.objects.filter(connection=first, state=DeliveryState.CLAIMED)
    return probing(health_of(first), now) and not out.exists()


def _waiting(pair: Pair, current: int) -> Any:
    return Delivery.objects.filter(backup_for=pair.first, state=DeliveryState.QUEUED, route_epoch=current)


def _locked() -> str:
    return " FOR UPDATE SKIP LOCKED" if on_postgresql() else ""


def _with_messages(ids: Iterable[int]) -> list[Delivery]:
    found = Delivery.objects.filter(pk__in=list(ids)).order_by("pk")
    return list(found.select_related("message__stream", "message__explicit"))


def _route(delivery: Delivery, configured: Configuration) -> Route | None:
    decision = decide(delivery.message, delivery.message.stream, configured)
    return decision if isinstance(decision, Route) else None


def _told(pair: Pair, code: str) -> dict[str, Any]:
    """The event, with what its line in the time line names."""
    return {
        "code": code,
        "connection": str(pair.first.uid),
        "connection_name": pair.first.name,
        "backup": str(pair.backup.uid) if pair.backup else None,
        "backup_name": pair.backup.name if pair.backup else "",
        "why": pair.first.health_why,
    }


def _place(
    moved: Sequence[tuple[Delivery, Route]],
    backup_for: Connection | None,
    detail: dict[str, Any],
    current: int,
    now: datetime,
) -> int:
    """Give deliveries their routes; those that share one are one statement."""
    by_route: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for delivery, route in moved:
        columns = decision_columns(route)
        by_route.setdefault(json.dumps(columns), (columns, []))[1].append(delivery.pk)
    for columns, ids in by_route.values():
        Delivery.objects.filter(pk__in=ids).update(
            connection_id=columns["connection_id"],
            route=columns["route"],
            explanation_id=explanations.keep_one(columns, current),
            backup_for=backup_for,
        )
    queued = DeliveryState.QUEUED.value
    Event.objects.bulk_create(
        Event(delivery=delivery, at=now, state=queued, detail=detail) for delivery, _ in moved
    )
    return len(moved)
