"""Group commits: what the sessions of all lanes want written down shares transactions.

A session that is about to write an end of data waits here for its mark (`stage`); what became of a claim is
handed over and not waited for (`settle`). While one commit runs, the next gathers; where many stage at once,
it waits a moment for the sessions at work that have not. A mark that comes alone goes before results: a far
server waits for it, and nobody for them. Where a single session is at work, its mark is written at once. On
SQLite all lanes share one writer; on PostgreSQL each lane has its own transactions, so that none waits for
another's locks.

Promises (L6): a mark that was granted is committed. Nothing is granted while results cannot be recorded. What
a server accepted is kept on this machine's disk (`outcomes`) before it is tried again, however long the
database is away, or this machine short of memory or descriptors (D6). Fails by `StageRefused` to the session,
and loses the lane where it is somebody else's, or where a fault of ours keeps its commit from being made;
what is known is settled entry by entry then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from vaguemestre.courier.at_once import at_once
from vaguemestre.ledger import queue
from vaguemestre.ledger.claims import Mark, Report
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.evidence import entry_of, replay
from vaguemestre.smtp.flow import StageRefused

if TYPE_CHECKING:
    from vaguemestre.courier.engine import Engine
    from vaguemestre.courier.lane import Lane

LULL = 0.005  # seconds that results wait for a mark
GATHER = 0.003  # seconds that marks wait for more where the last commit held more than a few
FEW = 4  # marks and results of one lane; more of them share a commit, which costs less
_PASSING = (*AWAY, OSError, MemoryError)  # the same commit may succeed later
_PAUSES = (0.05, 0.2, 0.5, 1.0)  # seconds between tries while the database is away; the last repeats

type _Work = Coroutine[Any, Any, None]

log = structlog.get_logger("courier")


@dataclass
class _Pile:
    """What one lane waits to have written."""

    marks: list[tuple[Sequence[Mark], asyncio.Future[Sequence[bool]]]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def add(self, other: _Pile) -> None:
        """What came since."""
        self.marks += other.marks
        self.reports += other.reports

    def parted(self) -> tuple[_Pile, _Pile]:
        """What is to be written now, and what afterwards."""
        if self.marks and len(self.marks) + len(self.reports) <= FEW:
            return _Pile(self.marks), _Pile([], self.reports)
        return self, _Pile()

    def refuse(self, reason: str) -> None:
        """No end of data goes out."""
        for _, answer in self.marks:
            if not answer.done():
                answer.set_exception(StageRefused(reason))
        self.marks = []


class Recorder:
    """See the module. Belongs to one event loop."""

    def __init__(self, engine: Engine, *, together: bool) -> None:
        self._engine = engine
        self._together = together
        self._piles: defaultdict[Lane, _Pile] = defaultdict(_Pile)
        self._writers: dict[Lane | None, asyncio.Task[None]] = {}
        self._missing: defaultdict[Lane | None, int] = defaultdict(int)  # marks that a writer waits for
        self._enough: dict[Lane | None, asyncio.Future[None]] = {}  # they are there, or it waited long enough
        self._crowds: dict[Lane | None, int] = {}  # marks of each writer's last commit
        self.away = False
        self.commits = 0  # until now

    async def stage(self, lane: Lane, marks: Sequence[Mark]) -> Sequence[bool]:
        """Which of the marks are committed.

        Raises:
            StageRefused: none: the lane is lost, or results cannot be recorded.
        """
        if self.away or lane.stale:
            raise StageRefused("results cannot be recorded now")
        answer: asyncio.Future[Sequence[bool]] = asyncio.get_running_loop().create_future()
        self._piles[lane].marks.append((marks, answer))
        key = None if self._together else lane
        if key in self._writers:
            self._missing[key] -= 1
            if not self._missing[key]:
                _end(self._enough[key])
        elif self._engine.carrying > 1:
            self._start(key, asyncio.create_task)
        else:
            # Nobody else could have a mark to share the commit. What the server does meanwhile is seen before
            # the dot goes out: the loop has a turn behind it.
            self._start(key, at_once)
            await asyncio.sleep(0)
        return await answer

    def settle(self, lane: Lane, report: Report) -> None:
        """Have a report recorded with the next commit."""
        self._piles[lane].reports.append(report)
        key = None if self._together else lane
        if key not in self._writers:
            self._start(key, asyncio.create_task)

    async def written(self) -> None:
        """Wait until nothing waits."""
        while self._writers:
            await asyncio.wait(list(self._writers.values()))

    def _start(self, key: Lane | None, begin: Callable[[_Work], asyncio.Task[None]]) -> None:
        """Have somebody write for a lane, or for all."""
        task = begin(self._write(key))
        if not task.done():
            self._writers[key] = task

    async def _write(self, key: Lane | None) -> None:
        try:
            while self._waiting(key):
                await self._lull(key)
                taken = self._taken(key)
                self._crowds[key] = sum([len(pile.marks) for pile in taken.values()])
                await self._attend(key, taken)
        finally:
            # Here, and not in a callback: what comes from now on starts another writer.
            self._writers.pop(key, None)
            self._missing.pop(key, None)
            if self._crowds.get(key, 0) <= FEW:
                self._crowds.pop(key, None)

    async def _attend(self, key: Lane | None, taken: dict[Lane, _Pile]) -> None:
        try:
            try:
                await self._commit(taken)
            except _PASSING as error:
                await self._outlast(key, taken, error)
        except Exception as fault:
            # A fault of ours within one: nothing goes out on trust, and what was staged is found in doubt.
            log.exception("record_failed")
            for lane, pile in taken.items():
                pile.refuse("results cannot be recorded")
                _lose(lane, pile, fault)

    def _waiting(self, key: Lane | None) -> list[Lane]:
        """The lanes of a writer that have something to be written."""
        return [lane for lane in self._piles if key is None or lane is key]

    async def _lull(self, key: Lane | None) -> None:
        """Where results came alone, the moment in which the session's next mark mostly comes.

        Where many staged at once, that in which the others do: a commit of twenty costs little more than one
        of ten.
        """
        lanes = self._waiting(key)
        marks = sum([len(self._piles[lane].marks) for lane in lanes])
        if not marks:
            await self._until(key, 1, LULL)
        elif self._crowds.get(key, 0) > FEW:
            await self._until(key, sum([lane.at_work for lane in lanes]) - marks, self._engine.gather)

    async def _until(self, key: Lane | None, missing: int, seconds: float) -> None:
        """Wait for so many more marks, and no longer than that."""
        if missing <= 0:
            return
        loop = asyncio.get_running_loop()
        self._missing[key], self._enough[key] = missing, loop.create_future()
        timer = loop.call_later(seconds, _end, self._enough[key])  # `asyncio.timeout` costs more than a mark
        try:
            await self._enough[key]
        finally:
            timer.cancel()
            del self._missing[key], self._enough[key]

    def _taken(self, key: Lane | None) -> dict[Lane, _Pile]:
        taken = {}
        for lane in self._waiting(key):
            taken[lane], left = self._piles.pop(lane).parted()
            if left.reports:
                self._piles[lane] = left
        return taken

    async def _commit(self, taken: dict[Lane, _Pile]) -> None:
        """One commit; each lane that was told of it is taken out, so that it is told once."""
        now = self._engine.now()
        piles = list(taken.items())
        entries = [
            queue.Entry(lane.lease, [mark for marks, _ in pile.marks for mark in marks], pile.reports)
            for lane, pile in piles
        ]
        answers: Sequence[queue.Recorded | Exception]
        try:
            answers = await self._engine.threads.briefly(queue.record_all, entries, now)
        except _PASSING:
            raise
        except Exception as fault:
            # A fault of ours, perhaps with one report: nobody's acceptances are to be forgotten for it.
            log.exception("record_failed")
            answers = [fault] * len(piles)
        self.commits += 1
        refused = []
        for (lane, pile), answer in zip(piles, answers, strict=True):
            if not isinstance(answer, queue.Recorded):
                pile.refuse(str(answer))
                refused.append((lane, pile, answer))
                continue
            _grant(pile, answer.staged)
            lane.recorded(pile.reports)
            self._done(lane, pile, taken)
        # Behind the others, which wait for nothing that fails here.
        for lane, pile, why in refused:
            await self._tell_late(pile.reports)
            _lose(lane, pile, why)
            self._done(lane, pile, taken)

    async def _tell_late(self, reports: Sequence[Report]) -> None:
        """The lane goes to somebody else, who takes what was staged for doubtful: tell what is known.

        Entry by entry: one that cannot be settled stands before no other.
        """
        # Also what was not marked, as far as is known here: the mark may have been committed unseen.
        known = []
        for report in reports:
            try:
                known.append(entry_of(report))
            except Exception:
                log.exception("evidence_not_settled", attempt=report.claim.attempt)
        if known:
            settled = await self._engine.threads.run(replay, known, self._engine.now())
            log.info("late_evidence", entries=len(known), settled=settled)

    async def _outlast(self, key: Lane | None, taken: dict[Lane, _Pile], error: Exception) -> None:
        """Keep the results until the database is back, those that come meanwhile too; nothing is staged."""
        self.away = True
        log.warning("results_not_recorded", error=type(error).__name__, why=str(error).partition("\n")[0])
        kept: set[str] = set()
        pauses = iter(_PAUSES)
        try:
            while True:
                for pile in taken.values():
                    pile.refuse("results cannot be recorded now")
                new = [
                    done for pile in taken.values() for done in pile.reports if done.claim.attempt not in kept
                ]
                await self._keep(new)
                kept.update(done.claim.attempt for done in new)
                await asyncio.sleep(next(pauses, _PAUSES[-1]))
                for lane, pile in self._taken(key).items():
                    taken.setdefault(lane, _Pile()).add(pile)
                with contextlib.suppress(*_PASSING):
                    await self._commit(taken)
                    return
        finally:
            self.away = False

    async def _keep(self, reports: Sequence[Report]) -> None:
        """On this machine's disk; where that fails too, what was staged is in doubt if this process ends."""
        outcomes = self._engine.outcomes
        if outcomes is None or not reports:
            return
        try:
            await asyncio.to_thread(outcomes.keep, reports)
        except Exception as error:  # noqa: BLE001  where memory is short, no thread may be had; they are still here
            log.error("outcomes_not_kept", error=str(error) or type(error).__name__)  # noqa: TRY400  all there is

    def _done(self, lane: Lane, pile: _Pile, taken: dict[Lane, _Pile]) -> None:
        """Nothing of it is to be written any more, and nothing to be kept."""
        if self._engine.outcomes is not None:
            self._engine.outcomes.done([report.claim.attempt for report in pile.reports])
        del taken[lane]


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _grant(pile: _Pile, staged: Sequence[bool]) -> None:
    position = 0
    for marks, answer in pile.marks:
        if not answer.done():
            answer.set_result(staged[position : position + len(marks)])
        position += len(marks)


def _lose(lane: Lane, pile: _Pile, why: Exception) -> None:
    """Give the lane up: what it holds is found by the next holder, nothing is sent twice."""
    lane.stale = True
    lane.recorded(pile.reports)
    log.warning("lane_lost", connection=lane.facts.connection_id, why=str(why).partition("\n")[0])
