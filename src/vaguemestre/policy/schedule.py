"""When a deferred delivery is tried again, when it is late, and when it is given up (RFC 5321 §4.5.4.1).

All in seconds. A schedule is a value, so that a test can run days in milliseconds and an operator can
choose. Expiry counts the delays of *counted* attempts, not the time since acceptance: what waits for a
connection or a route costs nothing (L7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HOUR = 3600.0


@dataclass(frozen=True)
class RetrySchedule:
    """The delays between the attempts of one delivery.

    Attributes:
        delays: after the first counted attempt, the second, and so on.
        then: after all later ones.
        jitter: the share by which a delay is made shorter or longer, so that retries spread out.
        delay_notice: for how long a delivery may wait before people are told that it is late (`lateness`).
    """

    delays: tuple[float, ...] = (60.0, 300.0, 900.0, 1800.0, HOUR, 2 * HOUR)
    then: float = 4 * HOUR
    jitter: float = 0.2
    delay_notice: float = 4 * HOUR

    def __post_init__(self) -> None:
        seconds = (*self.delays, self.then, self.delay_notice)
        if not all(math.isfinite(value) and value > 0 for value in seconds):
            raise ValueError("the delays of a schedule are positive and finite")
        if not 0 <= self.jitter < 1:
            raise ValueError("the jitter of a schedule is a share below one")


def nominal_delay(schedule: RetrySchedule, counted: int) -> float:
    """Seconds to wait after `counted` counted attempts, without jitter; none counts as one."""
    index = max(counted, 1) - 1
    return schedule.delays[index] if index < len(schedule.delays) else schedule.then


def next_delay(schedule: RetrySchedule, counted: int, jitter_unit: float) -> float:
    """Seconds to wait after `counted` counted attempts, the one just made included.

    Args:
        schedule: the delays.
        counted: counted attempts so far.
        jitter_unit: in [0, 1), drawn by the caller; 0.5 is no jitter.
    """
    return nominal_delay(schedule, counted) * (1 + schedule.jitter * (2 * jitter_unit - 1))


def expired(spent: float, retry_age: float) -> bool:
    """Whether a delivery is given up after an attempt that failed.

    Args:
        spent: the seconds of delay between its counted attempts, all of them waited out.
        retry_age: its stream's.
    """
    return spent >= retry_age
