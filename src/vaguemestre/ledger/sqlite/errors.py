"""SQLite's errors that an operator has to mend, told with what to do.

SQLite says what is wrong with a file in a few words, and Django sorts some of them among the faults of a
program: a damaged file was one of ours, at each look anew. Here they are all OperationalError: the call may
succeed once somebody mended it, and until then nothing is lost by waiting.

A damage is met by whoever reads the page that has it, and by nobody else. So it is written down beside the
database, for this very file, as long as no courier has begun anew since.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from django.db import OperationalError
from django.db.utils import DatabaseErrorWrapper

NOTE_SUFFIX = "-damaged"
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
RESTORE = (
    "the file {file} is damaged: stop Vaguemestre, move its data directory aside, and restore"
    " the latest backup"
)
_REMEDIES = {
    sqlite3.SQLITE_CORRUPT: RESTORE,
    sqlite3.SQLITE_NOTADB: RESTORE,
    sqlite3.SQLITE_FULL: "make room on the disk of {file}",
    sqlite3.SQLITE_READONLY: (
        "{file} takes no writes: its file system is mounted read-only, or the file is another user's"
    ),
    sqlite3.SQLITE_IOERR: "the disk of {file} fails: see what the system's log says of it",
}


class Damaged(OperationalError):
    """The file is not what SQLite wrote."""


def code_of(error: BaseException | None) -> int:
    """SQLite's primary result code; 0 where it is no error of SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


class Errors(DatabaseErrorWrapper):
    """See the module."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise it as one of Django's."""
        if kind is None:
            return
        code = code_of(error)
        if code not in _REMEDIES:
            super().__exit__(kind, error, trace)
            return
        self.wrapper.errors_occurred = True  # type: ignore[attr-defined]  # Django's
        file = str(self.wrapper.settings_dict["NAME"])  # type: ignore[attr-defined]
        told = OperationalError
        if code in _DAMAGED:
            told = Damaged
            _note(Path(file))
        raise told(f"{error}; {_REMEDIES[code].format(file=file)}").with_traceback(trace) from error


def look(database: Path) -> None:
    """See whether a damage of this file was met.

    Raises:
        Damaged: it was.
    """
    with suppress(OSError):
        if _note_of(database).read_text() == _which(database):
            raise Damaged(RESTORE.format(file=database))


def forget(database: Path) -> None:
    """What was met is to be met again, if it is there still."""
    with suppress(OSError):
        _note_of(database).unlink()


def _note(database: Path) -> None:
    with suppress(OSError):
        _note_of(database).write_text(_which(database))


def _note_of(database: Path) -> Path:
    return database.with_name(f"{database.name}{NOTE_SUFFIX}")


def _which(database: Path) -> str:
    """What tells this file from the one that is restored in its place."""
    found = database.stat()
    return f"{found.st_dev} {found.st_ino}"
