"""One transaction on SQLite: Django's `Atomic`, with a short way for the usual one.

The usual one is the outermost on an open connection, and commits. It does to the connection what Django does,
in its order, without asking at each step what was asked before. All else goes Django's own way: what is
within another one, what has to open the connection, what is undone, and what becomes of a COMMIT that failed.
"""

from __future__ import annotations

from types import TracebackType
from typing import cast

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.sqlite.base import ATOMIC, DatabaseWrapper


class Transaction:
    """For one `with`."""

    __slots__ = ("_database",)

    def __init__(self) -> None:
        self._database = cast("DatabaseWrapper", own())

    def __enter__(self) -> None:
        if not self._database.begin():
            ATOMIC.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        database = self._database
        if kind is not None or not database.ends_as_usual:
            ATOMIC.__exit__(kind, error, trace)
            return
        try:
            database.commit_all()
        except BaseException as failure:
            ATOMIC.__exit__(type(failure), failure, failure.__traceback__)
            raise
        database.ended()


class Provisional(Transaction):
    """One whose commit waits for no disk; never within another one."""

    __slots__ = ()

    def __enter__(self) -> None:
        try:
            self._database.hurry()
            super().__enter__()
        except BaseException:
            self._database.calm()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._database.calm()
