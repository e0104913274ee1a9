"""The threads in which asynchronous rooms call the ledger's plain synchronous functions.

The listener and the courier live on an event loop; the ledger does not. `LedgerThreads.run` is the one
bridge: it queues a call, awaits its result and keeps the loop free. One thread on SQLite, which has one
writer anyway, so that calls keep their order.

Promises: a call that is cancelled before its turn never starts; one that has started runs to its end.
Connections that Django counts as too old or broken are closed before and after each call, so that a database
that restarted is reached again by the next call.
Fails by raising what the called function raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from django.db import close_old_connections, connections


class LedgerThreads:
    """A pool that is used for nothing but the ledger.

    Attributes:
        workers: how many calls run at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="ledger")

    async def run[**P, R](self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` answers, called in one of the threads, in the order of the calls.

        Raises:
            RuntimeError: after `shutdown`.
        """
        return await asyncio.wrap_future(self._executor.submit(_call, partial(function, *args, **kwargs)))

    def shutdown(self) -> None:
        """Wait for what was queued, close every thread's database connection, end the threads."""
        # A connection belongs to its thread, so each thread closes its own: the barrier keeps one of them
        # from doing it for all.
        barrier = Barrier(self.workers)
        for _ in range(self.workers):
            self._executor.submit(_close, barrier)
        self._executor.shutdown(wait=True)

    def __repr__(self) -> str:
        return f"<LedgerThreads {self.workers}>"


def _call[R](call: Callable[[], R]) -> R:
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


def _close(barrier: Barrier) -> None:
    barrier.wait()
    connections.close_all()
