"""Alerts by mail, for the people who want them: gathered for a minute, then one mail with all of them.

In a storm that is one mail in half an hour (`ledger.operators`), and what came in between is in the next one,
the latest of each kind and connection. What waits when the courier ends is mailed then, unless it is too
early for a mail: it is forgotten, the log has it, and the console shows what still holds. Nothing fails with
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import DatabaseError

from vaguemestre.courier.alert_wording import Alert
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.refusals import Refusal

GATHER = 60.0  # seconds from the first alert to the mail
AGAIN = 120.0  # seconds between two looks whether it is time again

log = structlog.get_logger("alerts")

type Dated = tuple[Alert, datetime]


@dataclass
class Digest:
    """See the module. Used from the courier's loop alone.

    Attributes:
        mail: hands a mail over, in a thread; false where it is too early for one.
        gather: as `GATHER`.
        again: as `AGAIN`.
    """

    mail: Callable[[Sequence[Dated]], Awaitable[bool]]
    gather: float = GATHER
    again: float = AGAIN
    _waiting: dict[tuple[str, int | None], Dated] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    def add(self, alert: Alert, at: datetime) -> None:
        """Have it told with the next mail."""
        self._waiting[alert.kind.value, alert.connection_id] = (alert, at)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Have what waits mailed at once, if it may be; forget it else."""
        if self._task is not None:
            self._task.cancel()
        if self._waiting:
            await self._mailed(list(self._waiting.values()))

    async def _tell(self) -> None:
        await asyncio.sleep(self.gather)
        while self._waiting:
            told = dict(self._waiting)
            if await self._mailed(list(told.values())):
                # What came meanwhile stays for the next one.
                self._waiting = {key: one for key, one in self._waiting.items() if told.get(key) is not one}
            await asyncio.sleep(self.again)

    async def _mailed(self, told: Sequence[Dated]) -> bool:
        try:
            return await self.mail(told)
        except Refusal as refusal:
            log.warning("alerts_not_mailed", why=str(refusal))
            return True
        except (DatabaseError, *AWAY) as error:
            log.warning("database_away", at="alerts by mail", error=type(error).__name__)
            return False
