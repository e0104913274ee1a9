"""Django's SQLite backend with a fair lock in front of every write transaction.

SQLite's own busy handler sleeps between tries, so that four writers wait long for a commit; an advisory file
lock, taken before BEGIN and given back after COMMIT, hands over at once (`bench/writers.py`). The lock is a
file beside the database; it excludes processes and, since each connection opens it anew, threads.

Promises: no transaction begins without the lock; the lock never outlives its transaction, nor a process that
dies. Statements outside a transaction still rely on the busy handler. Fails as SQLite does; the wait for the
lock itself has no end but that of the transaction before it.

Hooked into Django 6.1: `Atomic` begins by `_start_transaction_under_autocommit` and ends, whatever happens,
by one of `_commit`, `_rollback` and `_close`; inner blocks are savepoints and come by none of them.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any

from django.db.backends.sqlite3 import base

LOCK_SUFFIX = "-lock"


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection, and its descriptor of the lock file with the process that opened it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock: tuple[int, int] | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._take()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # not in the stubs
        except BaseException:
            self._give_back()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]  # not in the stubs
        finally:
            self._give_back_if_over()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]  # not in the stubs
        finally:
            self._give_back_if_over()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]  # not in the stubs
        finally:
            self._give_back()

    def _take(self) -> None:
        name = str(self.settings_dict["NAME"])
        if self._lock is not None or self.is_in_memory_db():
            return
        descriptor = os.open(name + LOCK_SUFFIX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = (descriptor, os.getpid())

    def _give_back_if_over(self) -> None:
        # A COMMIT that failed leaves its transaction open; the ROLLBACK or the close behind it ends it.
        if self.connection is None or not self.connection.in_transaction:
            self._give_back()

    def _give_back(self) -> None:
        if self._lock is None:
            return
        (descriptor, owner), self._lock = self._lock, None
        if owner == os.getpid():
            # Closing alone would leave it to a child that was forked meanwhile and still has the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
