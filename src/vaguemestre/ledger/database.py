"""The two databases behind one door: durable transactions, row locks, and what the machine promises (L5).

`writing` is one transaction that is committed and fsynced when it ends: SQLite in WAL with
`synchronous=FULL` behind the file lock of `ledger.sqlite`, PostgreSQL with `synchronous_commit` on.
`durability_problems` reads both back. `provisional` is one that waits for no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from vaguemestre.ledger.binding import own
from vaguemestre.ledger.sqlite.transaction import Provisional, Transaction

type Row = dict[str, Any]

# The database is away, locked, full or read-only: the same call may succeed later. Any other error will not.
# `InternalError` is what PostgreSQL says where it takes no writes for now (a standby behind a failover; at
# some providers, a full disk), and where it ended a transaction that stood still for too long.
AWAY = (OperationalError, InterfaceError, InternalError)
_IN_INDEX_ORDER = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('jit', 'off', true)
"""
_BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)
"""
# The limit of PostgreSQL, of a role or a database, or of a pooler; a connection that is refused has no code.
_USED_UP = re.compile(
    r"remaining connection slots|too many (?:clients|connections)|no more connections allowed", re.IGNORECASE
)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_WAITS_FOR_NO_DISK = "SELECT set_config('synchronous_commit', 'off', true)"
_STEADY = """
SELECT set_config('default_transaction_isolation', 'read committed', false), set_config(
  name, CASE setting WHEN 'off' THEN 'on' WHEN '0' THEN '15s' ELSE setting || COALESCE(unit, '') END, false
) FROM pg_settings WHERE name IN ('synchronous_commit', 'idle_in_transaction_session_timeout')
"""
_COMMITS = "SELECT setting, reset_val FROM pg_settings WHERE name = 'synchronous_commit'"
SAFE_COMMITS = {"on", "remote_write", "remote_apply", "local"}


def writing() -> AbstractContextManager[None]:
    """One transaction. Inside another one it is a part of it, undone alone if it fails."""
    return transaction.atomic() if on_postgresql() else Transaction()


def provisional() -> AbstractContextManager[None]:
    """One transaction that nothing outside hangs on: it waits for no disk.

    Both databases write commits in order, so the next `writing` makes it durable too. If the machine fails
    before that, it never was. Inside another transaction it is a part of that one.
    """
    if own().in_atomic_block:
        return writing()
    return _provisional() if on_postgresql() else Provisional()


@contextmanager
def _provisional() -> Iterator[None]:
    with writing():
        rows(_WAITS_FOR_NO_DISK, {})
        yield


@cache
def on_postgresql() -> bool:
    """Whether the default database is PostgreSQL; asked some times for each message."""
    return connection.vendor == "postgresql"


def lock(name: int) -> None:
    """Hold the advisory lock `name` until the transaction ends. SQLite's writers take turns anyway."""
    if on_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [name])


def share(name: int) -> str:
    """An item of FROM that shares the advisory lock `name` until the transaction ends.

    Whoever shares waits behind one who is to have it alone (`lock`). With the rows of `for_share` it is not
    so: where many share them one behind the other, a change of such a row has its turn by chance, after
    seconds.
    """
    return f"CROSS JOIN (SELECT pg_advisory_xact_lock_shared({name})) AS turn" if on_postgresql() else ""


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
    if on_postgresql():
        return value
    if isinstance(value, datetime):
        return _stored_time(value)
    return value.hex if isinstance(value, UUID) else value


def _stored_time(at: datetime) -> Any:
    """Nearly all are in UTC: the ORM's form is then the usual one but for a T and the offset."""
    if at.tzinfo is UTC:
        return orjson.dumps(at).decode()[1:-7].replace("T", " ")
    return connection.ops.adapt_datetimefield_value(at)


def moment(value: object) -> datetime:
    """A time of a hand-written statement: SQLite's driver knows no zone, and what is stored is UTC."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=found.tzinfo or UTC)


def for_share(*tables: str) -> str:
    """A suffix that keeps rows from being changed until the transaction ends, locked in this order."""
    return f" FOR SHARE OF {', '.join(tables)}" if on_postgresql() else ""


def for_update(table: str) -> str:
    """A suffix that takes the rows read of `table` (its alias) and passes over what another one has."""
    return f" FOR UPDATE OF {table} SKIP LOCKED" if on_postgresql() else ""


def keep_index_order() -> None:
    """Until the transaction ends, have PostgreSQL read in an index's order rather than read all and sort.

    Its statistics may be of a time when the queue was short: it would then read a million rows for fifty.
    """
    if on_postgresql():
        rows(_IN_INDEX_ORDER, {})


def in_index_order() -> AbstractContextManager[None]:
    """The same for what reads without a transaction."""
    return _in_index_order() if on_postgresql() else nullcontext()


@contextmanager
def _in_index_order() -> Iterator[None]:
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
        return unpacked(f"%({name})s", name, columns)
    picked = ", ".join(f"value ->> '{column}' AS {column}" for column in columns)
    return f"(SELECT {picked} FROM json_each(%({name})s)) AS {name}"  # noqa: S608  names of our own


def unpacked(parameter: str, name: str, columns: Mapping[str, str]) -> str:
    """PostgreSQL's item of FROM for the rows of a parameter that holds them as JSON."""
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


def used_up(error: BaseException | None) -> bool:
    """Whether a server says that it has no connection left for us."""
    return isinstance(error, OperationalError) and _USED_UP.search(str(error)) is not None


def storable(text: str) -> bool:
    """Whether both databases can keep the text, or look for it: no NUL, no half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def steadied(connection: Any, **_: Any) -> None:
    """A receiver of Django's `connection_created`: what no setting of a server or a role is to change.

    A commit waits for the disk, though the server's setting may become another one while we run. And a
    transaction in which nobody says anything is ended: behind a machine that lost its power or its network
    the server would keep it, with the rows that it locked, for hours, and all other couriers wait for those.
    Who waited for a row goes on with what it is by then: at a stricter level of isolation that is an error.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_STEADY)


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
    # The one of this connection, and that which it would have of itself (`steadied`).
    (found,) = rows(_COMMITS, {})
    if not SAFE_COMMITS.issuperset(found.values()):
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
