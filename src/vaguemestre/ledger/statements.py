"""Statements of the hot path: many rows at once, by the driver's own cursor.

What writes belongs into a transaction, which takes the lock first; elsewhere it is refused (RuntimeError).
Fails with Django's errors, as its cursors do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, count, islice, pairwise
from typing import Any

import orjson

from vaguemestre.ledger.binding import Binding, cursor_of, opened
from vaguemestre.ledger.database import as_json, on_postgresql, stored, unpacked

_ROWS = 64  # of one statement at most, a power of two


def insert(
    table: str,
    columns: Sequence[str],
    values: Sequence[Sequence[Any]],
    new: Mapping[str, str] | None = None,
    *,
    known: str = "",
) -> None:
    """Rows into a table: of each the values of some columns, as `stored` gives them, and the same for others.

    Args:
        table: its name.
        columns: what a row of `values` holds.
        values: row by row.
        new: what all rows have in further columns, as literals.
        known: the unique column by which a row that is there already is passed over.
    """
    insert_flat(table, tuple(columns), list(chain.from_iterable(values)), new, known=known)


def insert_flat(
    table: str,
    columns: tuple[str, ...],
    values: list[Any],
    new: Mapping[str, str] | None = None,
    *,
    known: str = "",
) -> None:
    """The same with the values of all rows in one list, one row behind the other."""
    literals = tuple((new or {}).items())
    with Binding() as (cursor, mark):
        for piece in _pieces(values, len(columns)):
            statement = _inserting(table, columns, literals, len(piece) // len(columns), known, mark)
            cursor.execute(statement, piece)


def insert_alike(  # noqa: PLR0913, PLR0917  what a statement consists of
    table: str,
    common: tuple[str, ...],
    columns: tuple[str, ...],
    shared: list[tuple[Any, ...]],
    values: list[Any],
    new: Mapping[str, str] | None = None,
    *,
    known: str = "",
) -> None:
    """The same where most rows have some values in common.

    SQLite is given these once, if all rows of a statement have the same: to hand a value over takes longer
    than to write it.

    Args:
        table: its name.
        common: the columns of these values.
        columns: all others that are given.
        shared: row by row the values of `common`.
        values: those of `columns`, one row behind the other.
        new: as for `insert`.
        known: likewise.
    """
    names, literals, width, start = (*common, *columns), tuple((new or {}).items()), len(columns), 0
    with Binding() as (cursor, mark):
        for piece in _pieces(values, width):
            rows = shared[start : start + len(piece) // width]
            start += len(rows)
            alike = len(rows) == 1 or (mark == "?" and rows.count(rows[0]) == len(rows))
            statement = _inserting(
                table, names, literals, len(rows), known, mark, len(common) if alike else 0
            )
            cursor.execute(statement, (*rows[0], *piece) if alike else _whole(rows, piece))


def _whole(shared: Sequence[tuple[Any, ...]], values: Sequence[Any]) -> list[Any]:
    """All values of each row, one row behind the other."""
    own = iter(values)
    width = len(values) // len(shared)
    return [value for row in shared for value in (*row, *islice(own, width))]


def tuples(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a named statement finds, as `database.rows` and in a third of its time. It may not write."""
    database = opened()
    values = {name: stored(value) for name, value in parameters.items()}
    with database.wrap_database_errors:
        found: list[tuple[Any, ...]] = cursor_of(database).execute(_asking(sql), values).fetchall()
        return found


@lru_cache(maxsize=64)
def _asking(sql: str) -> str:
    return sql if on_postgresql() else re.sub(r"%\((\w+)\)s", r":\1", sql)


def concern(
    statement: str, columns: Mapping[str, str], given: Sequence[Sequence[Any]], *others: Any
) -> set[Any]:
    """Run an UPDATE for many rows, each with values of its own.

    To PostgreSQL that is one statement, and so one way there and back. SQLite is quicker with one for each
    row: it needs no tables in between, and no journal to undo half of a statement.

    Args:
        statement: which finds the values in a table `given`, and has `%s` for each of `others`.
        columns: of that table, name -> PostgreSQL's type; what tells the rows apart comes first.
        given: row by row, as `stored` gives values, and JSON as text.
        others: as `stored` gives them.

    Returns:
        Of those of `given` that changed a row, the first values.
    """
    if not given:
        return set()
    with Binding() as (cursor, _):
        if on_postgresql():
            text = _of_all(statement, tuple(columns.items()))
            return {row[0] for row in cursor.execute(text, (_recordset(columns, given), *others))}
        text = _of_one(statement, tuple(columns))
        return {row[0] for row in given if cursor.execute(text, (*row, *others)).rowcount}


@lru_cache(maxsize=64)
def _of_all(statement: str, columns: tuple[tuple[str, str], ...]) -> str:
    source = unpacked("%s", "given", dict(columns))
    return f"WITH given AS (SELECT * FROM {source}) {statement} RETURNING given.{columns[0][0]}"  # noqa: S608  our own names


@lru_cache(maxsize=64)
def _of_one(statement: str, columns: tuple[str, ...]) -> str:
    for place, column in enumerate(columns, 1):
        statement = re.sub(rf"\bgiven\.{column}\b", f"?{place}", statement)
    numbers = count(len(columns) + 1)
    return re.sub("%s", lambda _: f"?{next(numbers)}", statement.replace("FROM given", ""))


def _recordset(columns: Mapping[str, str], given: Iterable[Sequence[Any]]) -> str:
    documents = {name for name, kind in columns.items() if kind == "jsonb"}
    return as_json(
        {
            name: orjson.Fragment(value) if name in documents and value is not None else value
            for name, value in zip(columns, row, strict=True)
        }
        for row in given
    )


def _pieces[T](items: Sequence[T], width: int) -> list[Sequence[T]]:
    """The items, `width` to a row, by 64 rows; on SQLite what is left by 32, 16 and so on.

    It keeps each statement that it has prepared: with one for every number of rows that was 1.5 MiB. To
    PostgreSQL each piece is a way there and back.
    """
    return [items[start * width : end * width] for start, end in _parts(len(items) // width)]


@lru_cache(maxsize=256)
def _parts(rows: int) -> tuple[tuple[int, int], ...]:
    ends = [0]
    while ends[-1] < rows:
        left = min(rows - ends[-1], _ROWS)
        ends.append(ends[-1] + (left if on_postgresql() else 1 << left.bit_length() - 1))
    return tuple(pairwise(ends))


@lru_cache(maxsize=1_024)
def _inserting(  # noqa: PLR0913, PLR0917  what a statement consists of
    table: str,
    columns: tuple[str, ...],
    new: tuple[tuple[str, str], ...],
    rows: int,
    known: str,
    mark: str,
    once: int = 0,
) -> str:
    """One statement for all rows: half the time of one for each, and the driver is left once.

    The values of the first `once` columns are the statement's first ones, for every row.
    """
    once = once if rows > 1 else 0
    names = ", ".join((*columns, *(name for name, _ in new)))
    marks = (*(f"?{number + 1}" for number in range(once)), *[mark] * (len(columns) - once))
    row = ", ".join((*marks, *(literal for _, literal in new)))
    passing = f" ON CONFLICT ({known}) DO NOTHING" if known else ""
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * rows)}{passing}"  # noqa: S608  our own names
