"""Whether a database is the one that an installation left, or a copy of it: fault D11.

A copy that sends what its original sent already is the one way to send twice that no lease and no stage can
see. So an installation is known by two things that a copy does not take along: the `place` where its database
lies, which the database itself keeps, and a `Mark` beside the couriers, which names the installation and how
far it had come. `discord` compares them before a courier takes any work. Pure; nothing fails here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PauseWhy(StrEnum):
    """Why an installation sends nothing: a person wants it so, or it may be a copy."""

    BY_HAND = "by_hand"
    ELSEWHERE = "elsewhere"  # the database does not lie where it lay
    OLDER = "older"  # it is older than the mark: what has left since would leave again
    UNMARKED = "unmarked"  # an embedded database without the mark that lay beside it
    FOREIGN = "foreign"  # the mark is that of another installation


@dataclass(frozen=True)
class Pause:
    """Why nothing leaves.

    Attributes:
        at, by: when it began, and who wanted it.
        facts: of a database that is older than its mark: `reached` and `left_off`, how far it had come and
            how far this one goes, in milliseconds since the epoch.
    """

    why: PauseWhy
    at: datetime
    by: str
    facts: Mapping[str, int] = field(default_factory=dict)

    @property
    def copy(self) -> bool:
        """Whether this may be a copy."""
        return self.why is not PauseWhy.BY_HAND


@dataclass(frozen=True)
class Mark:
    """What a courier keeps outside of the database.

    Attributes:
        identity: of the installation.
        high_water: how far it had come; about the milliseconds of the day it was raised.
    """

    identity: str
    high_water: int


@dataclass(frozen=True)
class Kept:
    """What the database says of itself.

    Attributes:
        identity: "" where no courier has marked it yet: it is new, or of a version that made no marks.
        place: where it lay when it was last confirmed; "" takes it as it is found, as a person said.
        used: whether any mail was ever handed over.
    """

    identity: str
    place: str
    high_water: int
    used: bool = True


def discord(kept: Kept, place: str, mark: Mark | None, *, embedded: bool) -> PauseWhy | None:
    """Why this may be a copy; None where it is what was left here.

    Args:
        kept: what the database says.
        place: where it lies, in parts `name=value`; a part that cannot be told is left out.
        mark: what lies beside this courier.
        embedded: whether the database lies beside it, too. A server has couriers that come and go, without
            anything of theirs that stays: there a missing mark says nothing.
    """
    if not kept.identity:
        return PauseWhy.ELSEWHERE if mark is not None and kept.used else None
    if not kept.place:
        return None
    if mark is not None and mark.identity != kept.identity:
        return PauseWhy.FOREIGN
    if mark is not None and mark.high_water > kept.high_water:
        return PauseWhy.OLDER
    if place and _differ(kept.place, place):
        return PauseWhy.ELSEWHERE
    return PauseWhy.UNMARKED if mark is None and embedded else None


def _differ(before: str, now: str) -> bool:
    """Whether two places do, in what is known of both: a kernel or a privilege may tell more than before."""
    lay, lies = (dict(part.split("=") for part in place.split()) for place in (before, now))
    known = lay.keys() & lies.keys()
    return not known or any(lay[name] != lies[name] for name in known)


def raised(high_water: int, milliseconds: int) -> int:
    """The next high-water mark: the time of day, unless its clock went back."""
    return max(high_water + 1, milliseconds)
