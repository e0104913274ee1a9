"""This thread's connection and the driver's own cursor, for the statements of the hot path.

Django's for PostgreSQL writes values into the statement; the one for SQLite looks through it each time. Fails
with Django's errors.
"""

from __future__ import annotations

import asyncio
from threading import local
from typing import TYPE_CHECKING, Any, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    from vaguemestre.ledger.sqlite.base import DatabaseWrapper


class _Thread(local):
    database: BaseDatabaseWrapper | None = None


_thread = _Thread()


def own() -> BaseDatabaseWrapper:
    """This thread's connection, as Django has it: that looks for a running loop by an exception each time.

    Where a loop runs there is one for each context, which nothing may be asked of.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  as asyncio's own `get_running_loop` does
        return connections[DEFAULT_DB_ALIAS]
    database = _thread.database
    if database is None:
        database = _thread.database = connections[DEFAULT_DB_ALIAS]
    return database


def opened() -> BaseDatabaseWrapper:
    """This thread's connection, looked after as Django does where that may find something."""
    database = own()
    if database.connection is None or database.vendor == "postgresql":
        database.close_if_health_check_failed()
        database.ensure_connection()
    return database


def cursor_of(database: BaseDatabaseWrapper) -> Any:
    """A cursor of the driver's, for what does not write; on SQLite one that is used again and again."""
    if database.vendor != "postgresql":
        return cast("DatabaseWrapper", database).usual_cursor
    from psycopg import Cursor  # noqa: PLC0415  a start on SQLite is quicker without it

    return Cursor(database.connection)


type Bound = tuple[Any, str]  # the driver's cursor, and what stands for a value in its statements


class Binding:
    """What statements are run by within a transaction that holds so far."""

    __slots__ = ("_errors",)

    def __enter__(self) -> Bound:
        database = own()
        if not database.in_atomic_block:
            raise RuntimeError("this is for transactions: they take the lock before they write")
        if database.needs_rollback:
            database.validate_no_broken_transaction()  # what is undone in the end would seem to be written
        self._errors = database.wrap_database_errors
        return cursor_of(database), "%s" if database.vendor == "postgresql" else "?"

    def __exit__(self, *error: object) -> None:
        self._errors.__exit__(*error)  # type: ignore[arg-type]  # three, as it takes them
