"""Before a change: how many messages of 30 days would have left otherwise, what becomes of what waits.

Messages that ask routing the same are one question, asked under the configuration as it would be
(`policy.foresight`). The statements follow an index and end at `MOST` messages, the latest: their cost does
not grow with the history or the queue. Nothing is written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from vaguemestre.ledger import instance, referrers
from vaguemestre.ledger.accept import named, request_of
from vaguemestre.ledger.database import by_index, rows
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.ledger.referrers import Kind, Referrer
from vaguemestre.policy import foresight
from vaguemestre.policy.decision import Decision, Reason, Route
from vaguemestre.policy.foresight import Shown
from vaguemestre.policy.outlook import Count
from vaguemestre.policy.routing import Configuration, ConnectionFacts, Mode, Request, route

DAYS = 30
MOST = 10_000  # messages looked at; of more it is only said that there are more

_ASKED = "stream_id, explicit_id, header_from, header_reply_to, null_path"
_COLUMNS = "m.stream_id, m.explicit_id, m.header_from, m.header_reply_to, m.reverse_path = '' AS null_path"

# The latest messages, by the index of their times, each with its first delivery's route. (The sum keeps
# PostgreSQL from walking all deliveries in the order of their ids.)
_RECENT = f"""
SELECT {_ASKED}, route, COUNT(*) AS messages FROM (
  SELECT {_COLUMNS},
    (SELECT d.route FROM ledger_delivery d WHERE d.message_id = m.id ORDER BY d.id + 0 LIMIT 1) AS route
  FROM ledger_message m WHERE m.accepted_at > %(since)s ORDER BY m.accepted_at DESC LIMIT %(limit)s
) AS recent GROUP BY {_ASKED}, route
"""  # noqa: S608  of constants

# What waits in a connection's lane, by the index of what is due; and of what is held, what asks for it.
_WAITING = f"""
SELECT {_ASKED}, COUNT(*) AS messages FROM (
  SELECT {_COLUMNS} FROM (
    SELECT d.message_id FROM ledger_delivery d
    WHERE d.connection_id = %(connection)s AND d.state = 'queued'
    LIMIT %(limit)s
  ) AS d JOIN ledger_message m ON m.id = d.message_id
  UNION ALL
  SELECT {_COLUMNS}
  FROM (SELECT d.message_id FROM ledger_delivery d WHERE d.state = 'held' LIMIT %(limit)s) AS d
  JOIN ledger_message m ON m.id = d.message_id LEFT JOIN ledger_stream s ON s.id = m.stream_id
  WHERE COALESCE(m.explicit_id, s.connection_id) = %(connection)s
) AS waiting GROUP BY {_ASKED}
"""  # noqa: S608  of constants

# The first three states are the ones `delivery_routes` indexes, said as the index says them.
_ALL_WAITING = """
SELECT COUNT(*) AS found FROM (
  SELECT 1 FROM ledger_delivery
  WHERE (state = 'queued' OR state = 'held' OR state = 'in_doubt') AND state <> 'in_doubt' LIMIT %(limit)s
) AS waiting
"""

# What stays with a connection: in a courier's hands, and in doubt.
_HELD_FAST = """
SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM ledger_delivery WHERE connection_id = %(connection)s
        AND state = 'claimed' LIMIT %(limit)s) AS found) AS claimed,
       (SELECT COUNT(*) FROM (SELECT 1 FROM ledger_delivery WHERE connection_id = %(connection)s
        AND state = 'in_doubt' LIMIT %(limit)s) AS found) AS in_doubt
"""


@dataclass(frozen=True)
class Asked:
    """Messages that ask routing the same.

    Attributes:
        shown: what their recipients saw; None where they have no route.
    """

    request: Request
    shown: Shown | None
    messages: int


@dataclass(frozen=True)
class StreamCount:
    """A stream's messages of the last days, and how many would have left otherwise.

    Attributes:
        key: None for messages without a stream; then `name` is empty.
        from_changed, reply_to_changed: how many would have had another one.
        changed: how many either of them.
    """

    key: str | None
    name: str
    messages: int
    from_changed: int
    reply_to_changed: int
    changed: int


@dataclass(frozen=True)
class DefaultPreview:
    """What naming a default would change, or another meaning of it.

    Attributes:
        sender: the From that it has recipients see; "" where there is no default.
        reply_to: its Reply-To; "" for none.
        demoted: who ceases to be the default; it stays active.
        streams: those with messages, the most changed first.
        more: whether there were more messages than were looked at.
        waiting: deliveries that wait, and are routed anew.
        forms: names of those whose own connection or reply address it takes the place of.
    """

    sender: str
    reply_to: str
    mode: Mode
    demoted: Connection | None
    streams: tuple[StreamCount, ...]
    more: bool
    waiting: Count
    forms: tuple[str, ...] = ()

    @property
    def messages(self) -> int:
        """Looked at, in all."""
        return sum(stream.messages for stream in self.streams)

    @property
    def changed(self) -> int:
        """Of these, those that would have left otherwise."""
        return sum(stream.changed for stream in self.streams)


@dataclass(frozen=True)
class Fate:
    """What becomes of deliveries that wait.

    Attributes:
        carrier: the name of the connection that carries them then; "" where they are held.
    """

    carrier: str
    reason: Reason
    messages: int


@dataclass(frozen=True)
class Departure:
    """What follows where a connection is deactivated or deleted.

    Attributes:
        fates: of what waits for it, the largest first.
        in_hand: what a courier is transmitting; it may still be acknowledged.
        in_doubt: what stays with it, and waits for a person.
        referrers: what names it as its own connection, each with what carries it then.
        more: whether more waits than was looked at.
    """

    fates: tuple[Fate, ...]
    in_hand: int
    in_doubt: int
    referrers: tuple[tuple[Referrer, Fate], ...]
    more: bool

    @property
    def waiting(self) -> int:
        """Deliveries that wait, in all."""
        return sum(fate.messages for fate in self.fates)


def of_default(chosen: ConnectionFacts, now: datetime) -> DefaultPreview:
    """What becomes of messages once `chosen` is the default, saved as it stands there."""
    present = instance.configuration()
    demoted = next((one for one in present.connections if one.is_default and one.id != chosen.id), None)
    return _preview(foresight.with_default(present, chosen), chosen, demoted, now)


def of_mode(mode: Mode, now: datetime) -> DefaultPreview:
    """What becomes of messages once the default means that."""
    present = instance.configuration()
    default = next((one for one in present.connections if one.is_default), None)
    return _preview(replace(present, mode=mode), default, None, now)


def _preview(
    after: Configuration, default: ConnectionFacts | None, demoted: ConnectionFacts | None, now: datetime
) -> DefaultPreview:
    since = now - timedelta(days=DAYS)
    with by_index():
        asked = _asked(rows(_RECENT, {"since": since, "limit": MOST + 1}))
    (waiting,) = rows(_ALL_WAITING, {"limit": MOST + 1})
    return DefaultPreview(
        sender="" if default is None else _sender(default),
        reply_to="" if default is None else default.reply_to,
        mode=after.mode,
        demoted=None if demoted is None else Connection.objects.get(pk=demoted.id),
        streams=_counts(asked, after),
        more=sum(one.messages for one in asked) > MOST,
        waiting=Count(min(waiting["found"], MOST), more=waiting["found"] > MOST),
        forms=referrers.overridden_forms(default.id) if default and after.mode is Mode.OVERRIDE else (),
    )


def _sender(default: ConnectionFacts) -> str:
    own, address = default.sender_name, default.sender.address
    return f"{own} <{address}>" if own else address


def facts_of(connection: Connection) -> ConnectionFacts:
    """A saved connection as routing sees it."""
    found = instance.configuration().find(connection.pk)
    if found is None:
        raise LookupError(connection.pk)
    return found


def of_departure(connection: Connection, heir: Connection | None, *, deleted: bool) -> Departure:
    """What becomes of what waits for a connection, and of what refers to it."""
    after = foresight.without(
        instance.configuration(), connection.pk, None if heir is None else heir.pk, deleted=deleted
    )
    with by_index():
        asked = _asked(rows(_WAITING, {"connection": connection.pk, "limit": MOST + 1}))
    (held,) = rows(_HELD_FAST, {"connection": connection.pk, "limit": MOST + 1})
    return Departure(
        fates=_fates(_fate(route(one.request, after), after, one.messages) for one in asked),
        in_hand=held["claimed"],
        in_doubt=held["in_doubt"],
        referrers=tuple(
            (referrer, _fate(_of_referrer(referrer, connection, after), after))
            for referrer in referrers.of(connection)
        ),
        more=sum(one.messages for one in asked) > MOST,
    )


def _fates(each: Iterable[Fate]) -> tuple[Fate, ...]:
    """Those that end alike, as one."""
    found: dict[tuple[str, str], Fate] = {}
    for fate in each:
        key = (fate.carrier, fate.reason.code)
        before = found.get(key)
        found[key] = fate if before is None else replace(before, messages=before.messages + fate.messages)
    return tuple(sorted(found.values(), key=lambda fate: -fate.messages))


def _fate(decision: Decision, configured: Configuration, messages: int = 0) -> Fate:
    carrier = configured.find(decision.connection_id) if isinstance(decision, Route) else None
    return Fate("" if carrier is None else carrier.name, decision.reason, messages)


def _of_referrer(referrer: Referrer, connection: Connection, after: Configuration) -> Decision:
    """Where its messages go, if it keeps naming the connection."""
    if referrer.kind is Kind.FORM:  # its connection counts as named by each message
        named = Request(explicit=connection.pk, explicit_name=connection.name, stream=referrer.stream)
        return route(named, after)
    return route(Request(stream=referrer.stream or referrer.key, stream_connection=connection.pk), after)


def _counts(asked: Iterable[Asked], after: Configuration) -> tuple[StreamCount, ...]:
    totals: dict[str | None, Counter[str]] = {}
    for one in asked:
        count = totals.setdefault(one.request.stream, Counter())
        count["messages"] += one.messages
        for name in _differences(one, after):
            count[name] += one.messages
    names = dict(Stream.objects.values_list("key", "name"))
    found = (
        StreamCount(
            key,
            names.get(key or "", ""),
            count["messages"],
            count["from"],
            count["reply_to"],
            count["changed"],
        )
        for key, count in totals.items()
    )
    return tuple(sorted(found, key=lambda one: (-one.changed, -one.messages, one.name)))


def _differences(asked: Asked, after: Configuration) -> list[str]:
    """What of a message's appearance would have been another."""
    decision = route(asked.request, after)
    if asked.shown is None or not isinstance(decision, Route):
        return []
    shown = Shown.by(decision, asked.request.from_)
    differing = []
    if shown.from_ != asked.shown.from_:
        differing.append("from")
    if shown.reply_to != asked.shown.reply_to:
        differing.append("reply_to")
    return [*differing, "changed"] if differing else []


def _asked(found: Iterable[Mapping[str, Any]]) -> list[Asked]:
    streams = {stream.pk: stream for stream in Stream.objects.all()}
    connections = {connection.pk: connection for connection in Connection.objects.all()}

    @cache
    def original(stored: str | None) -> Any:
        return None if stored is None else json.loads(stored)

    return [
        Asked(
            request_of(
                streams.get(row["stream_id"]),
                connections.get(row["explicit_id"]),
                named(original(row["header_from"])),
                row["header_reply_to"] or None,
                null=bool(row["null_path"]),
            ),
            _shown(row.get("route"), original(row["header_from"])),
            row["messages"],
        )
        for row in found
    ]


def _shown(stored: str | None, original: Mapping[str, str] | None) -> Shown | None:
    return None if stored is None else Shown.kept(json.loads(stored), original)
