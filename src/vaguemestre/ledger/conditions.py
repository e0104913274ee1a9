"""What constraints, indexes and statements say of columns that hold one of a few words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import reduce
from operator import or_

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from vaguemestre.mail.state import DeliveryState

ENDED = ("accepted", "refused", "expired", "cancelled")  # `mail.state.TERMINAL`, in one order


def values_of(kinds: type[StrEnum]) -> list[str]:
    """As plain text, so that migrations do not depend on the enum."""
    return [kind.value for kind in kinds]


def any_of(column: str, values: Iterable[str]) -> Q:
    """Whether a column has one of the values, the likeliest first: for tables that are written all the time.

    For every IN of a constraint or an index SQLite makes a table at each statement: those of a delivery's
    constraints took 80 us, those of its indexes 20. An index of such a condition is found by all of it, in
    this order, or by one of the values alone.
    """
    return reduce(or_, (Q((column, value)) for value in values))


# Of states, for questions. They are literals: SQLite takes a partial index only where it can read them, and
# else reads all that was ever sent.
_WAITING = (
    "ledger_delivery.state = 'queued' OR ledger_delivery.state = 'held' OR ledger_delivery.state = 'in_doubt'"
)
_HELD = "ledger_delivery.state = 'held'"
_CLAIMED = "ledger_delivery.state = 'claimed'"


def waiting() -> RawSQL:
    """Whether a delivery has not ended and nobody is at it: the index `delivery_routes`."""
    return _literally(_WAITING)


def held() -> RawSQL:
    """Whether a delivery waits for a route: the index `delivery_held`."""
    return _literally(_HELD)


def claimed() -> RawSQL:
    """Whether a courier has it in its hands, or had: the index `delivery_claims`."""
    return _literally(_CLAIMED)


def in_state(state: DeliveryState) -> RawSQL:
    """Whether a delivery is in a state: of one that is no end, the index that there is for it."""
    return _literally(f"ledger_delivery.state = '{state.value}'")


def _literally(condition: str) -> RawSQL:
    return RawSQL(condition, [], output_field=BooleanField())  # noqa: S611  nobody's words but ours
