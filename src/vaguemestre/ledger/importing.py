"""Several new connections at once, all or none: what was pasted from another program's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vaguemestre.ledger import connections
from vaguemestre.ledger.connections import Saved
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.fields import Values
from vaguemestre.ledger.refusals import Refusal


def create_all(several: Sequence[Values], actor: str, now: datetime) -> list[Saved]:
    """Create each of them.

    Raises:
        Refusal: the faults of the first that has some, at `connections[N]`; nothing was created.
    """
    with writing():
        return [_create(position, values, actor, now) for position, values in enumerate(several)]


def _create(position: int, values: Values, actor: str, now: datetime) -> Saved:
    try:
        return connections.create(values, actor, now)
    except Refusal as refusal:
        faults = (fault.at(f"connections[{position}].{fault.field}") for fault in refusal.errors)
        raise Refusal(*faults) from None
