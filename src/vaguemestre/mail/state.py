"""The states of a delivery (`queued -> claimed -> accepted | ...`) and of a connection's health.

The transitions are drawn in `docs/explanation/states.md` and held by CHECK constraints in the ledger.
"""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where our duty to one recipient stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    HELD = "held"
    IN_DOUBT = "in_doubt"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the delivery never leaves this state."""
        return self in TERMINAL


TERMINAL = frozenset(
    {DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.EXPIRED, DeliveryState.CANCELLED}
)
MIXED = "mixed"


def common_state(states: set[str]) -> str:
    """A message's state: the common state of its deliveries, else `mixed`."""
    return next(iter(states)) if len(states) == 1 else MIXED


class OnDoubt(StrEnum):
    """What follows a delivery in doubt (L6)."""

    RETRY = "retry"
    HOLD = "hold"


class Health(StrEnum):
    """What a connection is able to do now."""

    READY = "ready"
    THROTTLED = "throttled"
    LOCKED = "locked"
    PAUSED = "paused"
