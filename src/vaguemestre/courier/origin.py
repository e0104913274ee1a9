"""Where a lane's sessions come from, as its server tells: written down when it is new, else once a day.

A server that tells another address each time is believed so many times a day, and not more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vaguemestre.courier.engine import Engine
from vaguemestre.ledger import sightings

EVERY = timedelta(days=1)


class Origin:
    """See the module."""

    def __init__(self, engine: Engine, connection_id: int) -> None:
        self._engine = engine
        self._connection_id = connection_id
        self._noted: dict[str, datetime] = {}

    def seen(self, address: str | None) -> None:
        """A session was told that address; None where it was told none. Nothing waits for it."""
        if not address:
            return
        now = self._engine.now()
        self._noted = {known: at for known, at in self._noted.items() if now - at < EVERY}
        if address not in self._noted and len(self._noted) < sightings.MOST:
            self._noted[address] = now
            self._engine.later(sightings.note, self._connection_id, address, now)
