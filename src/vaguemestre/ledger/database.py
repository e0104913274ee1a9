"""The two databases behind one door: durable transactions, row locks, and what the machine promises (L5).

`writing` is one transaction that is committed and fsynced when it ends: SQLite in WAL with
`synchronous=FULL` behind the file lock of `ledger.sqlite`, PostgreSQL with `synchronous_commit` on.
`durability_problems` reads both back. `provisional` is one that waits for no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import chain
from typing import Any
from uuid import UUID

import orjson
from django.db import InterfaceError, OperationalError, connection, transaction

from vaguemestre.ledger.binding import Binding

type Row = dict[str, Any]

# The database is away, locked or full: the same call may succeed later. Any other error will not.
AWAY = (OperationalError, InterfaceError)
_IN_INDEX_ORDER = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('jit', 'off', true)
"""
_BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)
"""
_ROWS = 64  # of one statement at most, a power of two
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_WAITS_FOR_NO_DISK = "SELECT set_config('synchronous_commit', 'off', true)"
SAFE_COMMITS = {"on", "remote_write", "remote_apply", "local"}


@contextmanager
def writing() -> Iterator[None]:
    """One transaction. Inside another one it is a part of it, undone alone if it fails."""
    with transaction.atomic():
        yield


@contextmanager
def provisional() -> Iterator[None]:
    """One transaction that nothing outside hangs on: it waits for no disk.

    Both databases write commits in order, so the next `writing` makes it durable too. If the machine fails
    before that, it never was. Inside another transaction it is a part of that one.
    """
    if connection.in_atomic_block:
        with writing():
            yield
    elif on_postgresql():
        with writing():
            rows(_WAITS_FOR_NO_DISK, {})
            yield
    else:
        with _synchronous_normal(), writing():
            yield


@contextmanager
def _synchronous_normal() -> Iterator[None]:
    """SQLite takes this outside of transactions only. A connection that does not go back is closed."""
    execute("PRAGMA synchronous = NORMAL", {})
    try:
        yield
    finally:
        try:
            execute("PRAGMA synchronous = FULL", {})
        except BaseException:
            connection.close()
            raise


@cache
def on_postgresql() -> bool:
    """Whether the default database is PostgreSQL; asked some times for each message."""
    return connection.vendor == "postgresql"


def lock(name: int) -> None:
    """Hold the advisory lock `name` until the transaction ends. SQLite's writers take turns anyway."""
    if on_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [name])


def rows(sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Run a named statement and fetch what it returns, each row by its column names."""
    with connection.cursor() as cursor:
        cursor.execute(sql, _stored(parameters))
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def execute(sql: str, parameters: Mapping[str, Any]) -> int:
    """Run a statement; the answer is how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, _stored(parameters))
        return int(cursor.rowcount)


def _stored(parameters: Mapping[str, Any]) -> Row:
    """The parameters as the models' fields store them: like is compared with like."""
    return {name: stored(value) for name, value in parameters.items()}


def stored(value: object) -> Any:
    """A value as the models' fields store it."""
    if isinstance(value, datetime):
        return _stored_time(value)
    if isinstance(value, UUID) and not on_postgresql():
        return value.hex
    return value


@lru_cache(maxsize=512)
def _stored_time(at: datetime) -> Any:
    """The rows of a group hold the same few times over and over, and the ORM's form of one is dear."""
    return connection.ops.adapt_datetimefield_value(at)


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


def tuples(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a question of the hot path returns, in the driver's own style: half the time of `rows`."""
    with Binding() as (cursor, _):
        found: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
        return found


def concern(
    statement: str, name: str, columns: Mapping[str, str], given: Sequence[Sequence[Any]], *others: Any
) -> list[tuple[Any, ...]]:
    """Run a statement about many rows at once: it finds them in a table of that name.

    Args:
        statement: with `%s` for each of `others`.
        name: of the table, and at its place in a list FROM.
        columns: of the table, name -> PostgreSQL's type.
        given: row by row, as `stored` gives values, and JSON as text.
        others: as `stored` gives them.

    Returns:
        The rows that it returns.
    """
    found: list[tuple[Any, ...]] = []
    with Binding() as (cursor, mark):
        for piece in _pieces(given):
            text = _concerning(statement, name, tuple(columns.items()), len(piece), mark)
            rows = chain.from_iterable(piece) if mark == "?" else (_recordset(columns, piece),)
            cursor.execute(text, (*rows, *others))
            found += cursor.fetchall() if cursor.description else ()
    return found


@lru_cache(maxsize=1_024)
def _concerning(
    statement: str, name: str, columns: tuple[tuple[str, str], ...], count: int, mark: str
) -> str:
    if mark == "?":
        # What SQLite would have to pick out of JSON costs as much as all that it does with it.
        row = f"({', '.join(mark * len(columns))})"
        names = ", ".join(column for column, _ in columns)
        return f"WITH {name}({names}) AS (VALUES {', '.join([row] * count)}) {statement.replace('%s', mark)}"
    return f"WITH {name} AS (SELECT * FROM {_unpacked('%s', name, dict(columns))}) {statement}"  # noqa: S608  our own names


def _recordset(columns: Mapping[str, str], given: Iterable[Sequence[Any]]) -> str:
    documents = {name for name, kind in columns.items() if kind == "jsonb"}
    return as_json(
        {
            name: orjson.Fragment(value) if name in documents and value is not None else value
            for name, value in zip(columns, row, strict=True)
        }
        for row in given
    )


def _pieces[T](items: Sequence[T], width: int = 1) -> Iterator[Sequence[T]]:
    """The items, `width` to a row, by 64 rows; on SQLite what is left by 32, 16 and so on.

    It keeps each statement that it has prepared: with one for every number of rows that was 1.5 MiB. To
    PostgreSQL each piece is a way there and back.
    """
    size, start = _ROWS * width, 0
    while start < len(items):
        while start + size > len(items) and not on_postgresql():
            size //= 2
        yield items[start : start + size]
        start += size


@lru_cache(maxsize=1_024)
def _inserting(  # noqa: PLR0913, PLR0917  what a statement consists of
    table: str, columns: tuple[str, ...], new: tuple[tuple[str, str], ...], count: int, known: str, mark: str
) -> str:
    """One statement for all rows: half the time of one for each, and the driver is left once."""
    names = ", ".join((*columns, *(name for name, _ in new)))
    row = ", ".join((*[mark] * len(columns), *(literal for _, literal in new)))
    passing = f" ON CONFLICT ({known}) DO NOTHING" if known else ""
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * count)}{passing}"  # noqa: S608  our own names


def moment(value: object) -> datetime:
    """A time of a hand-written statement: SQLite's driver knows no zone, and what is stored is UTC."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=found.tzinfo or UTC)


def for_share() -> str:
    """A suffix that keeps a read row from being changed until the transaction ends."""
    return " FOR SHARE" if on_postgresql() else ""


def for_update(table: str) -> str:
    """A suffix that takes the rows read of `table` (its alias) and passes over what another one has."""
    return f" FOR UPDATE OF {table} SKIP LOCKED" if on_postgresql() else ""


def keep_index_order() -> None:
    """Until the transaction ends, have PostgreSQL read in an index's order rather than read all and sort.

    Its statistics may be of a time when the queue was short: it would then read a million rows for fifty.
    """
    if on_postgresql():
        rows(_IN_INDEX_ORDER, {})


@contextmanager
def in_index_order() -> Iterator[None]:
    """The same for what reads without a transaction."""
    if not on_postgresql():
        yield
        return
    with writing():
        keep_index_order()
        yield


@contextmanager
def by_index() -> Iterator[None]:
    """Have PostgreSQL follow indexes for a bounded number of rows rather than read whole tables for them."""
    if not on_postgresql():
        yield
        return
    with writing():
        rows(_BY_INDEX, {})
        yield


def recordset(name: str, **columns: str) -> str:
    """An item of FROM: the rows that the parameter `name` holds as JSON (see `as_json`), named `name`.

    One statement then concerns any number of rows, and the driver is left once.

    Args:
        name: of the parameter and of the item.
        columns: name -> PostgreSQL's type. SQLite takes each value as JSON has it.
    """
    if on_postgresql():
        return _unpacked(f"%({name})s", name, columns)
    picked = ", ".join(f"value ->> '{column}' AS {column}" for column in columns)
    return f"(SELECT {picked} FROM json_each(%({name})s)) AS {name}"  # noqa: S608  names of our own


def _unpacked(parameter: str, name: str, columns: Mapping[str, str]) -> str:
    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"jsonb_to_recordset({parameter}::jsonb) AS {name}({declared})"


def as_json(items: Iterable[Row]) -> str:
    """Rows for a `recordset`, their times as the database keeps them. An id is to be given as its `hex`."""
    return orjson.dumps(list(items), _in_json, orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _in_json(value: object) -> str:
    return str(stored(value))


def lease_time(fallback: datetime) -> datetime:
    """The clock that leases are compared by: the database server's, since couriers' clocks may differ."""
    if not on_postgresql():
        return fallback
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found.astimezone(UTC)


def storable(text: str) -> bool:
    """Whether both databases can keep the text, or look for it: no NUL, no half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def durability_problems() -> list[str]:
    """What keeps a commit from being durable; empty where 202 and 250 may be given."""
    return _postgresql_problems() if on_postgresql() else _sqlite_problems()


def _sqlite_problems() -> list[str]:
    journal, synchronous = _setting("PRAGMA journal_mode"), _setting("PRAGMA synchronous")
    problems = []
    if journal != "wal":
        problems.append(
            f"SQLite's journal mode is {journal}, not WAL: is the data directory on a network share?"
        )
    if synchronous not in {"2", "3"}:
        problems.append(f"SQLite's synchronous is {synchronous}, not FULL.")
    return problems


def _postgresql_problems() -> list[str]:
    problems = []
    if _setting("SHOW synchronous_commit") not in SAFE_COMMITS:
        problems.append("PostgreSQL's synchronous_commit is off: set it to on.")
    if _setting("SHOW fsync") != "on":
        problems.append("PostgreSQL's fsync is off: set it to on.")
    return problems


def _setting(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0])


def chunked[T](items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in pieces, since a statement takes a limited number of parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
