"""How soon a stream's messages leave where not all can: password resets overtake reports."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """Whose turn it is when sessions or a quota are short."""

    URGENT = "urgent"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Its place in the queue's order, the first first."""
        return RANKS[self]


RANKS = {Priority.URGENT: 0, Priority.NORMAL: 1, Priority.LOW: 2}
USUAL_RANK = RANKS[Priority.NORMAL]  # of what has no stream
