"""Why routing answered as it did, kept once for all deliveries that got the same answer.

A reason with all its rules is several times what else is kept of a delivery, and few are in use at once. They
are found by their digest; each process remembers those that it used under the present routing epoch. A row's
own epoch is the latest under which it was the answer: only earlier ones are swept, when no delivery has them
any more, so that what is remembered is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from vaguemestre.ledger.database import chunked, execute, rows, writing

_REMEMBERED = 4_096
_PIECE = 500  # rows of one statement
_KEEP = """
INSERT INTO ledger_explanation AS known (digest, reason, rules, epoch) VALUES {rows}
ON CONFLICT (digest) DO UPDATE SET
    epoch = CASE WHEN known.epoch < excluded.epoch THEN excluded.epoch ELSE known.epoch END
RETURNING digest, id
"""
_UNUSED = """
e.epoch < (SELECT routing_epoch FROM ledger_instance)
AND NOT EXISTS (SELECT 1 FROM ledger_delivery d WHERE d.explanation_id = e.id)
"""
_FIND = f"SELECT e.id FROM ledger_explanation e WHERE {_UNUSED} LIMIT %(piece)s"  # noqa: S608  our own words
# Asked again in the transaction that deletes: it may be in use again by now.
_SWEEP = f"DELETE FROM ledger_explanation AS e WHERE e.id = %(id)s AND {_UNUSED}"  # noqa: S608  our own words


@dataclass(frozen=True, slots=True)
class Explained:
    """A reason and its rules, JSON, and the digest of both."""

    digest: bytes
    reason: str = field(compare=False)
    rules: str = field(compare=False)


_known: dict[tuple[int, bytes], int] = {}


def of(columns: Mapping[str, Any]) -> Explained:
    """What is kept of a decision's `reason` and `rules`."""
    reason, rules = (json.dumps(columns[name], sort_keys=True) for name in ("reason", "rules"))
    return Explained(hashlib.sha256(f"{reason}\n{rules}".encode()).digest(), reason, rules)


def keep(given: Iterable[Explained], epoch: int) -> dict[bytes, int]:
    """The rows' keys by digest, made where there are none; part of a transaction that asked for the epoch."""
    wanted = {one.digest: one for one in given}
    found = {digest: key for digest in wanted if (key := _known.get((epoch, digest))) is not None}
    if len(found) == len(wanted):
        return found
    missing = [one for digest, one in wanted.items() if digest not in found]
    made = {digest: key for piece in chunked(missing, _PIECE) for digest, key in _kept(piece, epoch)}
    # Not before the commit: what is undone takes its rows with it.
    transaction.on_commit(lambda: _remember(made, epoch))
    return found | made


def keep_one(columns: Mapping[str, Any], epoch: int) -> int:
    """The same for one decision."""
    (key,) = keep([of(columns)], epoch).values()
    return key


def sweep() -> int:
    """Remove what no delivery has any more, in small transactions; the answer is how many."""
    found = rows(_FIND, {"piece": _PIECE})
    return sum(_swept(row["id"]) for row in found)


def forget() -> None:
    """Remember nothing: another database stands behind the connection."""
    _known.clear()


def _kept(piece: Sequence[Explained], epoch: int) -> list[tuple[bytes, int]]:
    # In one order, or two processes that keep the same would wait for each other.
    ordered = sorted(piece, key=lambda one: one.digest)
    values = [value for one in ordered for value in (one.digest, one.reason, one.rules, epoch)]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(ordered))), values)
        return [(bytes(digest), key) for digest, key in cursor.fetchall()]


def _remember(made: Mapping[bytes, int], epoch: int) -> None:
    if len(_known) + len(made) > _REMEMBERED:
        _known.clear()
    _known.update({(epoch, digest): key for digest, key in made.items()})


def _swept(key: int) -> int:
    with writing():
        return execute(_SWEEP, {"id": key})
