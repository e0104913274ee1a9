"""Copies what is in SQLite's log into the database's file, in a thread of its own.

By itself SQLite does it within the commit that finds a thousand pages in the log, for 6 to 15 ms, and every
writer waits meanwhile in the row of the file lock. Where the `copier` is at work it is done beside them. Who
writes all the time leaves the log no moment at which all of it is copied, and it would grow: so once it is
`LONG`, its end, which is short, is copied under the lock, and the log begins anew.

Promises: that copying fails changes nothing of what is committed. Where it falls behind, SQLite does it by
itself at `LIMIT` pages.
"""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event, Thread

from django.db import Error, connection

LIMIT = 4_000  # pages
LONG = 2_000
_DUE = 1_000  # written since the last time, by an estimate
_OF_A_COMMIT = 20  # pages: one of each index that is touched
_DELAY = 0.02  # seconds, in which those go on who waited for a large transaction
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Copier:
    """Of one process."""

    def __init__(self) -> None:
        self.at_work = False
        self._pages = 0
        self._due = Event()

    def start(self) -> None:
        """To be called before the first connection is opened, and not before the process is forked."""
        self.at_work = True
        Thread(target=self._run, name="copier", daemon=True).start()

    def note(self, rows: int) -> None:
        """A transaction wrote so many, and has the lock yet."""
        self._pages += _OF_A_COMMIT + rows // 4
        if self._pages >= _DUE:
            self._pages = 0
            self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            time.sleep(_DELAY)
            with suppress(Error, OSError):
                copy()


def copy() -> None:
    """Copy the log; all of it, where it is long."""
    with connection.cursor() as cursor:
        _, length, copied = cursor.execute(_COPY).fetchone()
        if copied < length > LONG:
            with connection.alone():  # type: ignore[attr-defined]  # the stubs know Django's own backends
                cursor.execute(_COPY)


copier = Copier()
