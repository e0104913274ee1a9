"""Transactions of many pages, for which others should wait no longer than they must.

What was committed SQLite copies from its log into the database's file from time to time, behind a commit,
while writers wait in the row of our file lock. Behind such a transaction it does so once the next of them may
go on. What they write meanwhile is copied the usual way.

Promises: as `database.writing`; that the copy fails changes nothing of what is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import Error, connection

from vaguemestre.ledger.database import execute, on_postgresql, writing

_USUAL = 1_000  # pages in the log, SQLite's own number


@contextmanager
def writing_much() -> Iterator[None]:
    """One transaction, as `writing`; inside another one it is a part of that."""
    if on_postgresql() or connection.in_atomic_block:
        with writing():
            yield
        return
    execute("PRAGMA wal_autocheckpoint = 0", {})
    try:
        with writing():
            yield
    finally:
        execute(f"PRAGMA wal_autocheckpoint = {_USUAL}", {})
    with suppress(Error):
        execute("PRAGMA wal_checkpoint(PASSIVE)", {})
