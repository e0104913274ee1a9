"""Whether anything can be stored just now, tried and undone: what a door would meet with the next message.

The write lock is taken, a row is written as it is, and rolled back. Since SQLite touches the disk only for
what it commits, a file of `ROOM` bytes beside the database tells of a disk that is full. PostgreSQL is asked
whether it takes writes; the room on its disk is its administrator's care. `recent_problem` asks at most every
`EVERY` seconds in a process, however often it is called.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, Literal, cast

import structlog
from django.db import DatabaseError, connection

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.database import execute, on_postgresql, rows, used_up, writing
from vaguemestre.ledger.sqlite import errors

if TYPE_CHECKING:
    from vaguemestre.ledger.sqlite.base import DatabaseWrapper

type Problem = Literal["disk_full", "not_writable", "damaged", "no_connection_left"]

EVERY = 5.0  # seconds
ROOM = 1 << 20  # bytes
_DAMAGED = frozenset({"XX001", "XX002"})  # of PostgreSQL: data, an index
_BARRED = (errno.EROFS, errno.EACCES, errno.EPERM)  # of the lock file
_READ_ONLY = "25006"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AS_IT_IS = "UPDATE django_migrations SET app = app WHERE id = (SELECT max(id) FROM django_migrations)"
_recent: tuple[float, Problem | None] | None = None
_trying = Lock()  # a try waits for whoever writes, and who asks meanwhile gets the answer before

log = structlog.get_logger("ledger")


class _Undone(Exception):
    """Ends the transaction without a trace."""


def attempt() -> None:
    """Try it.

    Raises:
        DatabaseError: the database takes no writes.
        OSError: its disk does not.
    """
    if on_postgresql():
        if rows("SHOW transaction_read_only", {})[0]["transaction_read_only"] == "on":
            raise DatabaseError("PostgreSQL takes no writes here (transaction_read_only is on)")
        return
    if not cast("DatabaseWrapper", own()).is_in_memory_db():
        file = Path(connection.settings_dict["NAME"])
        errors.look(file)
        take_room(file.parent)
    with suppress(_Undone), writing():
        execute(_AS_IT_IS, {})
        raise _Undone


def take_room(folder: Path) -> None:
    """Have it for a moment; a folder that takes no new file may still hold a database that can be written.

    Raises:
        OSError: there is none.
    """
    with suppress(PermissionError), TemporaryFile(dir=folder, buffering=0) as file:
        if file.write(bytes(ROOM)) < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def recent_problem() -> Problem | None:
    """What kept the latest try from storing anything; None where nothing did."""
    global _recent  # noqa: PLW0603  one fact of this process
    before, now = _recent, time.monotonic()
    if before is not None and now - before[0] < EVERY:
        return before[1]
    if not _trying.acquire(blocking=False):
        return None if before is None else before[1]
    try:
        found, reason = _problem()
    finally:
        _trying.release()
    if found is not None and (before is None or before[1] != found):
        log.warning("nothing_can_be_stored", problem=found, error=reason)  # once, and not at every try
    _recent = (now, found)
    return found


def _problem() -> tuple[Problem | None, str]:
    try:
        attempt()
    except (DatabaseError, OSError) as error:
        reason = str(error).partition("\n")[0]
        return problem_of(error) or "not_writable", reason
    return None, ""


def begin_anew() -> None:
    """Whoever begins to work on the database meets what is wrong with it, if it still is."""
    if not on_postgresql():
        errors.forget(Path(connection.settings_dict["NAME"]))


def problem_of(error: BaseException) -> Problem | None:
    """What a person has to mend before anything can be stored; None where the error says no such thing."""
    cause = error.__cause__
    if isinstance(error, errors.Damaged) or getattr(cause, "sqlstate", "") in _DAMAGED:
        return "damaged"
    if disk_full(error):
        return "disk_full"
    if used_up(error):
        return "no_connection_left"
    if isinstance(cause, OSError) and cause.errno in _BARRED:
        return "not_writable"
    read_only = (
        errors.code_of(cause) == sqlite3.SQLITE_READONLY or getattr(cause, "sqlstate", "") == _READ_ONLY
    )
    return "not_writable" if read_only else None


def disk_full(error: BaseException) -> bool:
    """Whether it says so: the system's errors by number, SQLite's and PostgreSQL's by their words."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    text = str(error).lower()
    return isinstance(error, DatabaseError) and ("is full" in text or "no space left" in text)
