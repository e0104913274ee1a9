"""Whose turn it is among the priorities of a lane: the urgent first; every tenth time what waits too long.

Password resets overtake reports, but never for ever: while something of a later rank has been due for longer
than `PATIENCE`, every tenth claim that takes anything begins with it. Where several ranks wait so, they take
those turns one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from vaguemestre.mail.priority import RANKS

PATIENCE = timedelta(minutes=15)
EVERY = 10
USUAL = tuple(RANKS.values())


def late(firsts: Mapping[int, datetime | None], now: datetime) -> tuple[int, ...]:
    """The ranks behind the first whose first delivery has been due for too long, the last first."""
    return tuple(rank for rank in reversed(USUAL[1:]) if (due := firsts.get(rank)) and due < now - PATIENCE)


def order(claims: int, waiting: Sequence[int], due: Collection[int] = USUAL) -> tuple[int, ...]:
    """The ranks as the next claim asks for them.

    Args:
        claims: how many the lane has made.
        waiting: the ranks that wait too long.
        due: those that anything is due of, in their order.
    """
    turn, rest = divmod(claims + 1, EVERY)
    if rest or not waiting:
        return tuple(due)
    first = waiting[(turn - 1) % len(waiting)]
    return (first, *[rank for rank in due if rank != first])
