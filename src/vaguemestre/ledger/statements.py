"""Statements of the hot path: many rows at once, by the driver's own cursor.

What writes belongs into a transaction, which takes the lock first; elsewhere it is refused (RuntimeError).
Fails with Django's errors, as its cursors do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import count, islice, pairwise
from typing import Any

import orjson

from vaguemestre.ledger.binding import Binding, Bound, cursor_of, opened
from vaguemestre.ledger.database import as_json, on_postgresql, stored, unpacked

_ROWS = 64  # of one statement at most, a power of two
_AS_THEY_ARE = frozenset({int, str})  # on SQLite


class Insertion:
    """Rows into a table: of each the values of some columns, as `stored` gives them, and the same for others.

    SQLite is given what all rows of a statement have in common once: to hand a value over takes longer than
    to write it.

    Args:
        table: its name.
        common: the columns whose values are mostly the same in all rows.
        columns: all others that are given.
        new: what all rows have in further columns, as literals.
        known: the unique column by which a row that is there already is passed over.

    Attributes:
        common: those columns.
        width: how many values a row has for itself.
    """

    def __init__(
        self,
        table: str,
        common: tuple[str, ...],
        columns: tuple[str, ...],
        new: Mapping[str, str] | None = None,
        *,
        known: str = "",
    ) -> None:
        self._table, self.common, self._columns, self.width = table, common, columns, len(columns)
        self._new = new or {}
        self._passing = f" ON CONFLICT ({known}) DO NOTHING" if known else ""
        self._texts: dict[tuple[int, bool], str] = {}

    def put(self, bound: Bound, shared: Sequence[tuple[Any, ...]], values: Sequence[Any]) -> None:
        """The rows, in the order given.

        Args:
            bound: of the transaction.
            shared: row by row the values of `common`.
            values: those of `columns`, one row behind the other.
        """
        (cursor, mark), number = bound, len(shared)
        if number == 1:  # who comes alone waits for nothing but this
            cursor.execute(self._text(1, mark, alike=False), (*shared[0], *values))
            return
        width = self.width
        for start, end in _parts(number):
            rows, piece = shared[start:end], values[start * width : end * width]
            alike = mark == "?" and rows.count(rows[0]) == len(rows)
            text = self._text(len(rows), mark, alike=alike)
            cursor.execute(text, (*rows[0], *piece) if alike else _whole(rows, piece))

    def _text(self, rows: int, mark: str, *, alike: bool) -> str:
        """One statement for so many: half the time of one for each, and the driver is left once.

        Where they are alike, the values that they have in common are the statement's first ones, for all.
        """
        text = self._texts.get((rows, alike))
        if text is None:
            names = ", ".join((*self.common, *self._columns, *self._new))
            first = [f"?{number + 1}" if alike else mark for number in range(len(self.common))]
            row = ", ".join((*first, *[mark] * len(self._columns), *self._new.values()))
            marks = ", ".join([f"({row})"] * rows)
            text = f"INSERT INTO {self._table} ({names}) VALUES {marks}{self._passing}"  # noqa: S608  our own names
            self._texts[rows, alike] = text
        return text


def _whole(shared: Sequence[tuple[Any, ...]], values: Sequence[Any]) -> list[Any]:
    """All values of each row, one row behind the other."""
    own = iter(values)
    width = len(values) // len(shared)
    return [value for row in shared for value in (*row, *islice(own, width))]


def tuples(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a named statement finds, as `database.rows` and in a third of its time. It may not write.

    Args:
        sql: the statement.
        parameters: those that it names, and no others.
    """
    database, asked = opened(), sql
    values: Any = parameters
    if not on_postgresql():
        asked = _asking(sql, (*parameters,))
        values = [value if type(value) in _AS_THEY_ARE else stored(value) for value in parameters.values()]
    with database.wrap_database_errors:
        found: list[tuple[Any, ...]] = cursor_of(database).execute(asked, values).fetchall()
        return found


@lru_cache(maxsize=64)
def _asking(sql: str, names: tuple[str, ...]) -> str:
    """As SQLite takes it, by places: names it would ask for again, each time."""
    places = {name: place for place, name in enumerate(names, 1)}
    return re.sub(r"%\((\w+)\)s", lambda found: f"?{places[found[1]]}", sql)


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


@lru_cache(maxsize=256)
def _parts(rows: int) -> tuple[tuple[int, int], ...]:
    """Of each statement the first row, and the one behind its last: 64 rows; on SQLite then 32, 16 and so on.

    It keeps each statement that it has prepared: with one for every number of rows that was 1.5 MiB. To
    PostgreSQL each piece is a way there and back.
    """
    ends = [0]
    while ends[-1] < rows:
        left = min(rows - ends[-1], _ROWS)
        ends.append(ends[-1] + (left if on_postgresql() else 1 << left.bit_length() - 1))
    return tuple(pairwise(ends))
