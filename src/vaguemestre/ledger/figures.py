"""How many deliveries of a week's messages are in which state: by day, stream and connection.

A delivery counts on the day its message was accepted, with the state it has now: each once, so that the sums
agree. One in doubt is a figure of its own, never one that was sent or that failed. A day is one statement
along the index of the messages' times; what waits for people is read from its own short indexes. A week is
read day by day, so that nothing else waits long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from vaguemestre.ledger import messages
from vaguemestre.ledger.database import rows
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.reporting import bounds

# Messages first, by their times; CROSS JOIN keeps SQLite to that order, and means nothing else to either.
_OF_DAY = """
SELECT m.stream_id, d.connection_id, d.state, COUNT(*) AS deliveries
FROM ledger_message m CROSS JOIN ledger_delivery d
WHERE m.accepted_at >= %(since)s AND m.accepted_at < %(until)s AND d.message_id = m.id
GROUP BY m.stream_id, d.connection_id, d.state
"""
_MESSAGES = """
SELECT COUNT(*) AS found FROM ledger_message WHERE accepted_at >= %(since)s AND accepted_at < %(until)s
"""

NOT_SENT = frozenset({DeliveryState.REFUSED, DeliveryState.EXPIRED})


@dataclass(frozen=True)
class Line:
    """Deliveries that are alike.

    Attributes:
        stream: its key; "" for messages without one.
        connection: its name; "" where there is none.
    """

    day: date
    stream: str
    connection: str
    state: DeliveryState
    deliveries: int


@dataclass(frozen=True)
class Day:
    """What was accepted on one day."""

    day: date
    messages: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Week:
    """Days, and what waits for a person now, however old it is.

    Attributes:
        held, in_doubt: messages that wait for a person.
    """

    days: tuple[Day, ...]
    held: int
    in_doubt: int

    @property
    def lines(self) -> tuple[Line, ...]:
        """Of all days."""
        return tuple(line for day in self.days for line in day.lines)

    @property
    def messages(self) -> int:
        """Accepted, in all."""
        return sum(day.messages for day in self.days)

    @property
    def deliveries(self) -> int:
        """Recipients, in all."""
        return sum(line.deliveries for line in self.lines)

    def states(self) -> Counter[DeliveryState]:
        """How many deliveries are in each state."""
        found: Counter[DeliveryState] = Counter()
        for line in self.lines:
            found[line.state] += line.deliveries
        return found

    def of(self, attribute: str) -> dict[str, Counter[DeliveryState]]:
        """The same for each `stream` or `connection`, the busiest first."""
        found: dict[str, Counter[DeliveryState]] = {}
        for line in self.lines:
            found.setdefault(getattr(line, attribute), Counter())[line.state] += line.deliveries
        return dict(sorted(found.items(), key=lambda one: (-one[1].total(), one[0])))

    def daily(self, states: Collection[DeliveryState]) -> tuple[int, ...]:
        """For each day, how many deliveries are in one of these states."""
        return tuple(sum(line.deliveries for line in day.lines if line.state in states) for day in self.days)


def of_day(day: date, zone: tzinfo) -> Day:
    """A day of a zone."""
    since, until = bounds(day, zone)
    between = {"since": since, "until": until}
    streams = dict(Stream.objects.values_list("pk", "key"))
    names = dict(Connection.objects.values_list("pk", "name"))
    lines = (
        Line(
            day,
            streams.get(row["stream_id"], ""),
            names.get(row["connection_id"], ""),
            DeliveryState(row["state"]),
            row["deliveries"],
        )
        for row in rows(_OF_DAY, between)
    )
    (counted,) = rows(_MESSAGES, between)
    return Day(day, counted["found"], tuple(sorted(lines, key=_place)))


def week(days: Sequence[Day]) -> Week:
    """Days that were read, with what waits for people now."""
    waiting = messages.waiting_for_people()
    return Week(tuple(days), waiting["held"], waiting["in_doubt"])


def _place(line: Line) -> tuple[str, str, str]:
    return line.stream, line.connection, line.state
