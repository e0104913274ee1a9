"""Time that passed for a courier's leases and chores."""

import math


def all_due(worker, *, but=frozenset()):
    """As if every interval had passed, and nobody rung since."""
    worker._renewal_due_at = -math.inf
    worker._chores._due_at |= dict.fromkeys(worker._chores._due_at.keys() - but, 0.0)
    worker.engine.woken.clear()
