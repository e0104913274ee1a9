"""Gathers what sessions hand over: all that waits for the same disk shares one transaction.

While a group is in the ledger's thread the next one collects. Once that group has been answered, its sessions
are likely to come again at once, as kept and busy ones do. So the first of the next group waits for as many,
since a large one costs less than two small ones: until nobody has come for `PATIENCE` seconds, and at most
`LONGEST` times as long, which twenty sessions take where the machine is busy. A lone session never waits, nor
does what comes to a ledger that has been idle.

Promises: each item is answered once, in the group that it went with, whatever becomes of the group or of who
is told; `work` is called in the ledger's threads, as often at a time as there are threads.

Lives on one event loop and is touched from nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from vaguemestre.ledger.threads import LedgerThreads

PATIENCE = 0.002  # seconds
LONGEST = 4  # times that


type _Waiting[Item, Answer] = tuple[Item, Callable[[Answer], None]]


class Gatherer[Item, Answer]:
    """Collects items, has them worked on in groups, tells each its answer.

    Args:
        work: a group's items, to as many answers in the same order.
        failed: what all of a group are told where it raises.
        most: items of a group.
    """

    def __init__(
        self,
        threads: LedgerThreads,
        work: Callable[[Sequence[Item]], Sequence[Answer]],
        failed: Callable[[BaseException], Answer],
        *,
        most: int,
        patience: float = PATIENCE,
    ) -> None:
        self._threads = threads
        self._work = work
        self._failed = failed
        self._most = most
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting[Item, Answer]] = []
        self._flights = 0  # groups under way
        self._timer: asyncio.TimerHandle | None = None
        self._likely = 0  # sessions that will want something in a moment
        self._last_end = 0.0
        self._until = self._latest = 0.0  # how long those that wait may do so: now, and if more are coming

    def add(self, item: Item, tell: Callable[[Answer], None]) -> None:
        """Take an item up; `tell` is called with its answer, on the loop."""
        now = self._loop.time()
        if not self._waiting:
            # Who comes is followed by others; but for the first of an idle time.
            longest = LONGEST * self._patience
            self._latest = now + longest if now - self._last_end <= longest else now
        self._until = min(now + self._patience, self._latest)
        self._waiting.append((item, tell))
        self._consider()

    def _consider(self) -> None:
        """Let a group go, if there is one, a thread for it, and nobody to be waited for."""
        if not self._waiting or self._flights >= self._threads.workers:
            return
        if len(self._waiting) < min(self._likely, self._most):
            left = self._until - self._loop.time()
            if left > 0:
                self._timer = self._timer or self._loop.call_later(left, self._stop_waiting)
                return
        self._stop_timer()
        group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        self._flights += 1
        self._depart(group)

    def _stop_waiting(self) -> None:
        self._timer = None
        if self._loop.time() >= self._until:
            self._likely = 0
        self._consider()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _depart(self, group: Sequence[_Waiting[Item, Answer]]) -> None:
        land = partial(self._land, group)
        try:
            self._threads.call(partial(self._answers, [item for item, _ in group]), land)
        except Exception as error:  # noqa: BLE001  there is no thread: each is told, as if it had failed there
            self._loop.call_soon(land, (), error)

    def _answers(self, items: Sequence[Item]) -> Sequence[Answer]:
        """Of `work`, in one of the ledger's threads."""
        answers = self._work(items)
        if len(answers) != len(items):
            raise ValueError(f"{len(answers)} answers for {len(items)}")
        return answers

    def _land(
        self,
        group: Sequence[_Waiting[Item, Answer]],
        answers: Sequence[Answer],
        error: BaseException | None,
    ) -> None:
        """Without any answer sessions would wait for ever, and the next group for its thread."""
        self._flights -= 1
        self._likely, self._last_end = len(group) + len(self._waiting), self._loop.time()
        self._until = self._last_end + self._patience
        self._latest = self._last_end + LONGEST * self._patience
        if error is not None:
            answers = [self._failed(error)] * len(group)
        for (_, tell), answer in zip(group, answers, strict=True):
            try:
                tell(answer)
            except Exception as fault:  # noqa: BLE001  a fault with one is no other's
                self._loop.call_exception_handler({"message": "an answer was not told", "exception": fault})
        self._consider()

    def __repr__(self) -> str:
        return f"<Gatherer {len(self._waiting)} waiting, {self._flights} groups under way>"
