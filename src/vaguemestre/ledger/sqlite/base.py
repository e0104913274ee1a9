"""Django's SQLite backend with a fair lock in front of every write.

SQLite's own busy handler sleeps between tries, so that of four writers one waits seconds for a commit; an
advisory file lock, taken before BEGIN and given back after COMMIT, hands over at once (`bench/writers.py`). A
statement that writes outside a transaction takes it for itself. The lock is a file beside the database; it
excludes processes and, since each connection opens it for itself, threads. It stays open as long as the
connection does: opened for each transaction it was a fiftieth of a lone acceptance.

Promises: no transaction begins without the lock; the lock never outlives its transaction, nor a process that
dies and has forked no other meanwhile. Fails as SQLite does, also where the file cannot be opened; the wait
for the lock itself has no end but that of the transaction before it. Who is `impatient` waits for neither,
and gets `Occupied`.

Hooked into Django 6.1: `Atomic` begins by `_start_transaction_under_autocommit` and ends, whatever happens,
by one of `_commit`, `_rollback` and `_close`; inner blocks are savepoints and come by none of them. `begin`
and `ended` do to the connection what it does (see `transaction`), without `_commit`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError
from django.db.backends.sqlite3 import base
from django.db.transaction import Atomic
from django.utils.functional import cached_property

from vaguemestre.ledger.sqlite.copying import LIMIT, copier
from vaguemestre.ledger.sqlite.errors import Errors, code_of

LOCK_SUFFIX = "-lock"
ATOMIC = Atomic(DEFAULT_DB_ALIAS, savepoint=True, durable=False)  # it keeps nothing of its own
_KEPT = 1_024  # statements
_LONG = 16_384  # characters of a statement that is not kept in its other style
_converted: dict[tuple[str, tuple[str, ...] | None], str] = {}
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Occupied(OperationalError):
    """Somebody else writes; nothing was done."""


class Cursor(base.SQLiteCursorWrapper):
    """Django's cursor, which rewrites each placeholder of a statement once instead of every time."""

    def convert_query(self, query: str, *, param_names: Sequence[str] | None = None) -> str:
        """The statement in the style that SQLite's driver knows."""
        if len(query) > _LONG:
            return super().convert_query(query, param_names=param_names)
        known = (query, None if param_names is None else tuple(param_names))
        found = _converted.get(known)
        if found is None:
            found = super().convert_query(query, param_names=param_names)
            if len(_converted) < _KEPT:
                _converted[known] = found
        return found


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection, and its descriptor of the lock file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._locked = False
        self._lock: _LockFile | None = None
        self.usual_cursor: sqlite3.Cursor  # of statements whose rows are all read at once
        self._lock_file = ""  # none of a database in memory
        self._waits = True
        self._hasty: object = None  # the connection that has no busy timeout
        self._hurries = False  # its commits wait for no disk
        self._changes = 0  # rows that this connection wrote so far
        self.execute_wrappers.append(self._execute)

    @cached_property
    def wrap_database_errors(self) -> Errors:
        """What Django asks for, with a remedy where SQLite's error has one."""
        return Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Columns as SQLite keeps them: what the driver makes of them the fields of the models make, too.

        It would look for a type in each column's name and declaration, in every statement anew. And no other
        thread's calls, which SQLite takes for granted (`configuration`).
        """
        return {**super().get_connection_params(), "detect_types": 0, "check_same_thread": True}

    def create_cursor(self, name: str | None = None) -> Cursor:  # noqa: ARG002  Django's signature
        """A cursor on the one connection."""
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        return cursor

    def init_connection_state(self) -> None:
        """Leave the log to the copier where one is at work."""
        super().init_connection_state()
        self._changes = 0
        self.usual_cursor = self.connection.cursor()
        self._lock_file = "" if self.is_in_memory_db() else f"{self.settings_dict['NAME']}{LOCK_SUFFIX}"
        if copier.at_work:
            self.connection.execute(f"PRAGMA wal_autocheckpoint = {LIMIT}")

    def begin(self) -> bool:
        """Begin an outermost transaction as `Atomic` does, on a connection that is open and as usual.

        Returns:
            Whether it was that; nothing was done where it was not, or a loop runs on this thread.
        """
        loop = asyncio._get_running_loop()  # noqa: SLF001  without the exception of `get_running_loop`
        if loop is not None or self.connection is None or not self.autocommit:  # which no block leaves it
            return False
        self.commit_on_exit, self.needs_rollback = True, False
        self._start_transaction_under_autocommit()
        self.autocommit, self.in_atomic_block = False, True
        self.atomic_blocks.append(ATOMIC)
        return True

    @property
    def ends_as_usual(self) -> bool:
        """Whether it is an outermost one that is to be committed."""
        broken = self.needs_rollback or self.closed_in_transaction
        return self.in_atomic_block and not self.savepoint_ids and self.commit_on_exit and not broken

    def commit_all(self) -> None:
        """COMMIT.

        Raises:
            OperationalError: also where SQLite undid all of it, when a statement failed, and nobody said so.
        """
        with self.wrap_database_errors:
            if not self.connection.in_transaction:
                raise sqlite3.OperationalError("the transaction was undone when a statement of it failed")
            self.connection.commit()

    def ended(self) -> None:
        """It is committed: go on as `Atomic` does."""
        self.atomic_blocks.pop()
        self.autocommit, self.in_atomic_block, self.errors_occurred = True, False, False
        try:
            self._note_changes()
        finally:
            self._give_back()
        if self.run_on_commit:
            if self._hurries:
                self._synchronous("FULL")  # what a hook writes is to be durable
            self.run_and_clear_commit_hooks()

    def hurry(self) -> None:
        """Wait for no disk, until `calm`. SQLite takes this outside of a transaction only."""
        self.ensure_connection()
        self._synchronous("NORMAL")
        self._hurries = True

    def calm(self) -> None:
        """Wait for the disk again; a connection that cannot be made to is closed."""
        self._hurries = False
        try:
            if self.connection is not None:  # a new one waits
                self._synchronous("FULL")
        except BaseException:
            self.close()
            raise

    def _synchronous(self, how: str) -> None:
        with self.wrap_database_errors:
            self.connection.execute(f"PRAGMA synchronous = {how}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the lock without a transaction."""
        self._take()
        try:
            yield
        finally:
            self._give_back()

    def impatient[R](self, call: Callable[[], R]) -> R:
        """The answer of a call of one transaction, which begins at once or fails with `Occupied`.

        SQLite itself waits for nobody on this connection from then on.
        """
        if self.connection is None or self._hasty is not self.connection:
            with self.wrap_database_errors:
                self.ensure_connection()
                self.connection.execute("PRAGMA busy_timeout = 0")
                self._hasty = self.connection
        self._waits = False
        try:
            return call()
        finally:
            self._waits = True

    def close_if_unusable_or_obsolete(self) -> None:
        """As Django does, without asking step by step where there is nothing to close it for."""
        if not self.autocommit or self.errors_occurred or self.close_at is not None:
            super().close_if_unusable_or_obsolete()

    def _execute(self, execute: Callable[..., Any], sql: str, *call: Any) -> Any:
        """Django's `execute_wrapper`: a write that is a transaction by itself waits in the same row."""
        if self._locked or not sql.startswith(_WRITES):
            return execute(sql, *call)
        self._take()
        try:
            return execute(sql, *call)
        finally:
            self._give_back_if_over()

    def _start_transaction_under_autocommit(self) -> None:
        try:
            self._take()
            with self.wrap_database_errors:
                # Through a cursor of Django's it takes ten times as long.
                self.connection.execute(f"BEGIN {self.transaction_mode}")  # type: ignore[attr-defined]  # ours
        except BaseException as error:
            self._give_back()
            if not self._waits and _is_busy(error):
                raise Occupied("another writer is at work") from error
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
            self._lock = None

    def _take(self) -> None:
        if self._locked or not self._lock_file:
            return
        how = fcntl.LOCK_EX if self._waits else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            while not self._lock_taken(how):
                self._lock = None  # the file was deleted: others lock a new one
            self._locked = True
        except BlockingIOError:
            raise Occupied("another writer has the lock") from None
        except BaseException as error:
            self._locked, self._lock = False, None  # closed, whether it was locked by then or not
            if isinstance(error, OSError):
                # No descriptor is left, no lock, no disk: as with SQLite's own files, it may go well later.
                why = error.strerror or error
                raise OperationalError(f"the lock file {self._lock_file} cannot be locked ({why})") from error
            raise

    def _lock_taken(self, how: int) -> bool:
        """Whether what was locked is the lock that others see."""
        lock = self._lock
        if lock is None or lock.process != os.getpid():  # a forked process has a lock of its own
            lock = self._lock = _LockFile(self._lock_file)
        fcntl.flock(lock.descriptor, how)
        return os.fstat(lock.descriptor).st_nlink > 0

    def _give_back_if_over(self) -> None:
        # A COMMIT that failed leaves its transaction open; the ROLLBACK or the close behind it ends it.
        if self.connection is None or not self.connection.in_transaction:
            self._note_changes()
            self._give_back()

    def _note_changes(self) -> None:
        if copier.at_work and self.connection is not None:
            before, self._changes = self._changes, self.connection.total_changes
            copier.note(self._changes - before)

    def _give_back(self) -> None:
        if not self._locked:
            return
        self._locked = False
        if self._lock is not None and self._lock.process == os.getpid():
            # Closing alone would leave it to a child that was forked meanwhile and still has the descriptor.
            fcntl.flock(self._lock.descriptor, fcntl.LOCK_UN)


class _LockFile:
    """A descriptor of it, closed with the last reference."""

    def __init__(self, path: str) -> None:
        try:
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperationalError(f"the lock file {path} cannot be opened ({error.strerror})") from error
        self.process = os.getpid()
        # Not at the interpreter's end, when threads may still be within a transaction.
        weakref.finalize(self, os.close, self.descriptor).atexit = False


def _is_busy(error: BaseException) -> bool:
    """Whether SQLite met somebody who writes without the lock, such as its own shell."""
    return code_of(error.__cause__) == sqlite3.SQLITE_BUSY
