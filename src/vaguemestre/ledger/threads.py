"""The threads in which asynchronous rooms call the ledger's plain synchronous functions.

The listener and the courier live on an event loop; the ledger does not. `LedgerThreads.run` is the bridge: it
queues a call, awaits its result and keeps the loop free; `LedgerThreads.call` does so where nothing awaits
it. One thread on SQLite, which has one writer anyway, so that calls keep their order.

`briefly` is for one transaction that takes a moment and comes often, such as the commit of some messages. On
SQLite it is made on the loop's own thread, since handing over to another one and back costs more than the
call. It never waits there for another writer: where one is at work it tries again a few times, a millisecond
later, as a commit takes one or two; then the threads wait. Where the disk is slow, on average more than
`WAIT`, they get all of it.

Where a server has no connection left for a thread (PostgreSQL's `max_connections`), the others make its
calls: one connection is enough for all, and none of the work fails for want of a second.

Promises: a call that is cancelled before its turn never starts; one that has started runs to its end, unless
the process is killed or does not wait for `shutdown`. What comes while the threads are at work is theirs,
too, and so in order. Connections that Django counts as too old or broken are closed before each call, so
that a database that restarted is reached again by the next one. Fails by raising what the called function
raised.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, cast

from django.db import connections

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.database import used_up
from vaguemestre.ledger.sqlite.base import DatabaseWrapper, Occupied
from vaguemestre.mail.value import entity

WAIT = 0.01  # seconds that a call may wait on average, for disk or processor, on the loop's thread
TRIES, AGAIN = 4, 0.001  # while somebody else writes, and seconds from one to the next
ALONE = 5.0  # seconds in which no more threads are started, once one had no connection
_NEWEST = 0.1  # the share of the last call in that average


type Tell = Callable[[Any, BaseException | None], None]


@entity
class _Call:
    """One that is queued.

    Attributes:
        tell: takes what it answers, or what it raised, on the loop.
        answer: by whose cancelling it is given up before its turn.
    """

    work: Callable[[], Any]
    tell: Tell
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any] | None = None


class LedgerThreads:
    """A pool that is used for nothing but the ledger.

    Attributes:
        workers: how many calls run at a time.

    Args:
        here: whether `briefly` may use the thread that it is called in: on SQLite.
    """

    def __init__(self, workers: int, *, here: bool = False) -> None:
        self.workers = workers
        self._here = here
        self._over = False
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._running: set[_Call] = set()  # and what is queued
        self._waits = 0.0  # seconds for which calls waited for the disk, on average
        self._threads: list[Thread] = []
        self._retiring = Lock()
        self._alone_until = -math.inf  # no more threads before that: the server has no connections for them

    async def run[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` answers, called in one of the threads, in the order of the calls.

        Raises:
            RuntimeError: after `shutdown`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._queue(_Call(partial(function, *args, **kwargs), partial(_settle, answer), loop, answer))
        return await answer

    def call(self, work: Callable[[], Any], tell: Tell) -> None:
        """The same for whom it need not be awaited: no task is made.

        Args:
            work: called in one of the threads.
            tell: called on the loop, with what that answered and None, or with None and what it raised.

        Raises:
            RuntimeError: after `shutdown`, or without any thread where none can be started; nobody is told.
        """
        self._queue(_Call(work, tell, asyncio.get_running_loop()))

    def _queue(self, call: _Call) -> None:
        if self._over:
            raise RuntimeError("the ledger's threads have ended")
        wanted = len(self._running) >= len(self._threads) < self.workers
        if wanted and time.monotonic() >= self._alone_until:
            try:
                self._start_one()
            except RuntimeError:  # as where memory is short
                if not self._threads:
                    raise
        self._running.add(call)  # until it has ended, whether or not somebody still waits for it
        self._calls.put(call)

    async def briefly[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for one transaction that takes a moment, made on the loop's own thread where that may be.

        Args:
            function: has one transaction at most, and writes nothing outside of it: it is called again where
                that could not begin.
            args: of it.
            kwargs: of it.

        Raises:
            RuntimeError: after `shutdown`.
        """
        for _ in range(TRIES):
            if not self._here or self._running or self._waits > WAIT:
                break
            try:
                return _off_the_loop(partial(self._at_once, partial(function, *args, **kwargs)))
            except Occupied:  # nothing was written
                await asyncio.sleep(AGAIN)
        return await self.run(function, *args, **kwargs)

    def _start_one(self) -> None:
        thread = Thread(target=self._serve, name=f"ledger_{len(self._threads)}", daemon=True)
        thread.start()  # before it counts as one: where it cannot start, the next call tries again
        self._threads.append(thread)

    def _serve(self) -> None:
        """What each thread does: one call after the other, until there is none any more."""
        while (call := self._calls.get()) is not None:
            if call.answer is not None and call.answer.cancelled():
                self._running.discard(call)
            elif not self._make(call):
                break
            del call  # whatever it holds, nobody waits for it here
        connections.close_all()  # which only their own thread may do

    def _make(self, call: _Call) -> bool:
        """Make it; False where this thread has no connection for it, and left it to the others."""
        connected = own().connection is not None
        result, error = self._outcome(call.work)
        # The call failed when it asked for its connection, so that nothing was done yet.
        never = not connected and own().connection is None
        if never and used_up(error) and self._retired(call):
            return False
        self._running.discard(call)
        with suppress(RuntimeError):  # its loop is over: nobody waits
            call.loop.call_soon_threadsafe(call.tell, result, error)
        return True

    def _retired(self, call: _Call) -> bool:
        """Whether this thread ends and leaves its call to others: not the last one, nor any at the end."""
        with self._retiring:
            if self._over or len(self._threads) < 2:
                return False
            self._threads.remove(current_thread())
            self._calls.put(call)
        self._alone_until = time.monotonic() + ALONE
        return True

    def _outcome[R](self, work: Callable[[], R]) -> tuple[R, None] | tuple[None, BaseException]:
        try:
            own().close_if_unusable_or_obsolete()
            return self._timed(work) if self._here else work(), None
        except BaseException as error:  # noqa: BLE001  it is raised where the result is awaited
            return None, error

    def _at_once[R](self, call: Callable[[], R]) -> R:
        database = cast("DatabaseWrapper", own())
        database.close_if_unusable_or_obsolete()  # before: a new one would be patient
        return self._timed(partial(database.impatient, call))

    def _timed[R](self, call: Callable[[], R]) -> R:
        """The call, and how long it waited."""
        began, used = time.monotonic(), time.thread_time()
        try:
            return call()
        finally:
            waited = (time.monotonic() - began) - (time.thread_time() - used)
            self._waits += _NEWEST * (waited - self._waits)

    def shutdown(self) -> None:
        """Wait for what was queued, close every thread's database connection, end the threads."""
        with self._retiring:  # a call that is left to others comes before what ends them
            self._over = True
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            thread.join()
        if self._here:
            self._here = False
            _off_the_loop(connections.close_all)

    def __repr__(self) -> str:
        return f"<LedgerThreads {self.workers}>"


def _off_the_loop[R](call: Callable[[], R]) -> R:
    """Call with Django seeing a plain thread: it refuses to wait for a database on one where a loop runs."""
    loop = asyncio._get_running_loop()  # noqa: SLF001  for those who make loops, and so documented
    asyncio._set_running_loop(None)  # noqa: SLF001
    try:
        return call()
    finally:
        asyncio._set_running_loop(loop)  # noqa: SLF001


def _settle(answer: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if answer.done():
        return  # it was cancelled meanwhile
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
