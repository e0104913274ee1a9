"""How many deliveries each connection's server accepted in each of the last hours.

The cost is that of what was attempted in these hours, however much is kept: attempts are numbered as they
end, so the first one of the time is found by halving; what servers accepted is then read from its deliveries,
in one statement for all connections. An end that was recorded long after its time may be left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vaguemestre.ledger.database import rows
from vaguemestre.ledger.models import Attempt

_HOURS = 24

# Attempts first, by their numbers; CROSS JOIN keeps SQLite to that order, and means nothing else to either.
# Both databases write a time as text alike up to its minute.
_ACCEPTED = """
SELECT d.connection_id, SUBSTR(CAST(d.settled_at AS text), 1, 16) AS minute, COUNT(*) AS deliveries
FROM (SELECT DISTINCT message_id FROM ledger_attempt WHERE id >= %(first)s) a CROSS JOIN ledger_delivery d
WHERE d.message_id = a.message_id AND d.state = 'accepted' AND d.settled_at > %(since)s
GROUP BY d.connection_id, SUBSTR(CAST(d.settled_at AS text), 1, 16)
"""


def volumes(now: datetime) -> dict[int, list[int]]:
    """Of each connection that had any, by its number: deliveries by hour, the latest last."""
    since = now - timedelta(hours=_HOURS)
    counts: dict[int, list[int]] = {}
    for row in rows(_ACCEPTED, {"first": _first_after(since), "since": since}):
        age = now - datetime.fromisoformat(row["minute"]).replace(tzinfo=UTC)
        ago = min(max(0, int(age.total_seconds() // 3600)), _HOURS - 1)
        counts.setdefault(row["connection_id"], [0] * _HOURS)[_HOURS - 1 - ago] += row["deliveries"]
    return counts


def _first_after(since: datetime) -> int:
    """The number of the first attempt that ended after that time, or of one before it."""
    last = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    low, high = 0, last + 1
    while low < high:
        middle = (low + high) // 2
        ended = (
            Attempt.objects.filter(pk__gte=middle).order_by("pk").values_list("ended_at", flat=True).first()
        )
        if ended is None or ended > since:
            high = middle
        else:
            low = middle + 1
    return low
