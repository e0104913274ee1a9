"""Lists: `limit` and `cursor` in, `{"items", "next"}` out.

Connections, streams and keys are few and come from the ledger whole; their cursor is a position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from ninja import Query

from vaguemestre.doors.api.problems import Rejected

MOST = 200
USUAL = 50

# No `type`: what is one by name, ninja documents as a parameter without a name.
Limit = Annotated[int, Query(ge=1, le=MOST)]
Cursor = Annotated[str, Query(max_length=18)]


def position(cursor: str) -> int:
    """Where a page begins.

    Raises:
        Rejected: 422 for a cursor that was not given out.
    """
    if cursor and not (cursor.isascii() and cursor.isdecimal()):
        raise Rejected(422, "This cursor was not given out by this list.", at="cursor")
    return int(cursor or 0)


def page[T](
    found: Sequence[T], show: Callable[[T], dict[str, Any]], cursor: str, limit: int
) -> dict[str, Any]:
    """One page of a whole list."""
    start = position(cursor)
    behind = start + limit
    items = [show(item) for item in found[start:behind]]
    return {"items": items, "next": str(behind) if behind < len(found) else None}
