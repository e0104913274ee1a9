"""The driver's own cursor, for the statements of the hot path.

Django's for PostgreSQL writes values into the statement; the one for SQLite looks through it each time. Fails
with Django's errors.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper


def opened() -> BaseDatabaseWrapper:
    """This thread's connection, looked after as Django does where that may find something."""
    database = connections[DEFAULT_DB_ALIAS]
    if database.connection is None or database.vendor == "postgresql":
        database.close_if_health_check_failed()
        database.ensure_connection()
    return database


def cursor_of(database: BaseDatabaseWrapper) -> Any:
    """A cursor of the driver's, for what does not write."""
    if database.vendor != "postgresql":
        return database.connection.cursor()
    from psycopg import Cursor  # noqa: PLC0415  a start on SQLite is quicker without it

    return Cursor(database.connection)


class Binding:
    """A cursor within a transaction that holds so far, and what stands for a value in its statements."""

    def __enter__(self) -> tuple[Any, str]:
        database = connections[DEFAULT_DB_ALIAS]
        if not database.in_atomic_block:
            raise RuntimeError("this is for transactions: they take the lock before they write")
        database.validate_no_broken_transaction()  # what is undone in the end would seem to be written
        self._errors = database.wrap_database_errors
        self._cursor = cursor_of(database)
        return self._cursor, "%s" if database.vendor == "postgresql" else "?"

    def __exit__(self, *error: object) -> None:
        self._cursor.close()
        self._errors.__exit__(*error)  # type: ignore[arg-type]  # three, as it takes them
