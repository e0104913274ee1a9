"""What the log tells of a courier's database: when the first look at it succeeded, and while it is away.

That it is away is told at once, each minute while it lasts, and when it is back.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

AGAIN = 60.0  # seconds

log = structlog.get_logger("courier")


class Absence:
    """Of the database that the courier `holder` works on; `clock` tells seconds."""

    def __init__(self, holder: str, clock: Callable[[], float]) -> None:
        self._holder = holder
        self._clock = clock
        self._ready = False
        self._since: float | None = None
        self._told_at = 0.0

    def met(self, error: Exception) -> None:
        """It was away at this look."""
        now = self._clock()
        if self._since is None:
            self._since = now
        elif now - self._told_at < AGAIN:
            return
        self._told_at = now
        reason = str(error).partition("\n")[0]
        log.warning("database_away", error=reason, seconds=round(now - self._since))

    def over(self) -> None:
        """It answered."""
        if self._since is not None:
            log.info("database_back", seconds=round(self._clock() - self._since))
            self._since = None
        if not self._ready:
            self._ready = True
            log.info("courier_ready", holder=self._holder)
