"""What all lanes of a courier share: its clock, network, schedule, threads and sessions. All of it values.

A test builds an `Engine` with a clock, a lookup, timeouts and a schedule of its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError

from vaguemestre.courier.alerts import Alerts
from vaguemestre.courier.recorder import GATHER, Recorder
from vaguemestre.courier.tokens import NoTokens, Tokens
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.policy.health import ORDINARY, Backoff
from vaguemestre.policy.schedule import RetrySchedule
from vaguemestre.smtp.flow import Limits
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.pool import Pool
from vaguemestre.smtp.session import Session
from vaguemestre.smtp.timeouts import Timeouts

if TYPE_CHECKING:
    from pathlib import Path

    from vaguemestre.courier.outcomes import Outcomes

DRAIN = 24.0  # seconds for what runs, after SIGTERM
ANSWER = 20.0  # seconds of them that a server may take for its answer to an end of data
LEASE_MARGIN = 12.0  # seconds after a renewal in which an end of data may still go out; leases live for 15

log = structlog.get_logger("courier")


system_now = partial(datetime.now, UTC)  # no functions of ours: they are asked some times for each message
system_boottime = partial(time.clock_gettime, time.CLOCK_BOOTTIME)  # seconds since boot, time asleep included


@dataclass
class Engine:
    """See the module.

    Attributes:
        now: the time of day.
        boottime: seconds on a clock that counts suspension, for leases.
        jitter: draws from [0, 1).
        renewed: `boottime` when the leases were last asked to be renewed.
        limits: of what is in flight on a session.
        drain: seconds for what runs, once it is told to end.
        answer: the last of them, in which no end of data goes out: a server may take so long for its answer.
        ends_at: when what runs is broken off, on the network's monotonic clock; None while it works.
        alerts: tells the operator, without mail.
        tokens: where access tokens of OAuth 2.0 come from.
        look: seconds between the looks for work that nobody rang for.
        gather: seconds that marks wait for more, where many come at once.
        together: whether all lanes share their commits: on SQLite, which has one writer.
        outcomes: where results are kept while the database is away; None keeps them in memory alone.
        mark: the file that tells this installation from a copy of it (`guard`); None has none.
        recorder: writes down what sessions do.
        carrying: how many sessions of all lanes are at work.
    """

    network: Network
    threads: LedgerThreads
    timeouts: Timeouts = field(default_factory=Timeouts)
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    backoff: Backoff = ORDINARY
    pool: Pool = field(default_factory=Pool)
    now: Callable[[], datetime] = system_now
    boottime: Callable[[], float] = system_boottime
    jitter: Callable[[], float] = random.random
    renewed: float = 0.0
    limits: Limits = field(default_factory=Limits)
    drain: float = DRAIN
    answer: float = ANSWER
    ends_at: float | None = None
    alerts: Alerts = field(default_factory=Alerts)
    tokens: Tokens = field(default_factory=NoTokens)
    look: float = 1.0
    gather: float = GATHER
    together: bool = True
    outcomes: Outcomes | None = None
    mark: Path | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    carrying: int = 0
    _apart: set[asyncio.Task[None]] = field(default_factory=set)
    _leaving: dict[tuple[str, int, str], set[asyncio.Task[None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self, together=self.together)

    def leases_hold(self) -> bool:
        """Whether the last renewal is recent enough to trust, counting time asleep."""
        return self.boottime() - self.renewed < LEASE_MARGIN

    def ends_too_soon(self) -> bool:
        """Whether an end of data that went out now might not be answered before the end."""
        return self.ends_at is not None and self.ends_at - self.network.monotonic() < self.answer

    def wake(self) -> None:
        """Have the worker look again at once."""
        self.woken.set()

    def close_later(self, session: Session) -> None:
        """QUIT on its own time."""
        self.leave(session.hop, self._apart_from_all(session.quit()))

    def leave(self, hop: NextHop, task: asyncio.Task[None]) -> None:
        """A session with that server is over with this task, and nobody else counts it."""
        leaving = self._leaving.setdefault(_account(hop), set())
        leaving.add(task)
        task.add_done_callback(leaving.discard)

    def leaving(self, hop: NextHop) -> Collection[asyncio.Task[None]]:
        """The sessions with that server, under that login, that say QUIT now: they count there still.

        So do those of a lane that was lost while they were at work.
        """
        return self._leaving.get(_account(hop), ())

    def later[**P](self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the ledger do something that nobody waits for, and that may fail."""

        async def call() -> None:
            try:
                await self.threads.run(function, *args, **kwargs)
            except (DatabaseError, *AWAY) as error:
                log.warning("not_written", what=function.__name__, error=type(error).__name__)

        self._apart_from_all(call())

    async def close(self) -> None:
        """Close every idle session."""
        for session in self.pool.empty():
            self.close_later(session)
        if self._apart:
            await asyncio.wait(self._apart, timeout=3)
        await self.alerts.close()

    def _apart_from_all(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)
        return task


def _account(hop: NextHop) -> tuple[str, int, str]:
    """By what a server counts sessions."""
    return hop.host, hop.port, hop.login
