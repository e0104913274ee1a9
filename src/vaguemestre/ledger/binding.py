"""The driver's own cursor, for the statements of the hot path.

Django's for PostgreSQL writes values into the statement; the one for SQLite looks through it each time. For
use within a transaction alone. Fails with Django's errors.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections


class Binding:
    """A cursor, and what stands for a value in its statements."""

    def __enter__(self) -> tuple[Any, str]:
        database = connections[DEFAULT_DB_ALIAS]
        if not database.in_atomic_block:
            raise RuntimeError("this is for transactions: they take the lock before they write")
        self._errors = database.wrap_database_errors
        if database.vendor != "postgresql":
            self._cursor = database.connection.cursor()
            return self._cursor, "?"
        from psycopg import Cursor  # noqa: PLC0415  a start on SQLite is quicker without it

        self._cursor = Cursor(database.connection)
        return self._cursor, "%s"

    def __exit__(self, *error: object) -> None:
        self._cursor.close()
        self._errors.__exit__(*error)  # type: ignore[arg-type]  # three, as it takes them
