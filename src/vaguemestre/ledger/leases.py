"""Lane leases: a connection's deliveries are served by one courier at a time.

A lease is a row with an epoch; it is renewed every 5 s and lost after 15. Taking it over raises the epoch,
which `queue` compares with whatever it writes, so that a stale courier writes nothing (L04). On one host
the lease of a dead holder is taken over at once: a holder is told by boot id, PID namespace, PID and start
time, which no later process shares.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from vaguemestre.ledger.database import lease_time, writing
from vaguemestre.ledger.models import Courier, Lane

RENEWED_EVERY = timedelta(seconds=5)
LOST_AFTER = timedelta(seconds=15)


@dataclass(frozen=True)
class Lease:
    """The right to work a connection's lane, once what earlier epochs left claimed is recovered."""

    connection_id: int
    epoch: int


def new_holder() -> str:
    """What tells this process from every other, dead or alive."""
    pid = os.getpid()
    return f"{_boot_id()} {_namespace()} {pid} {_start_time(pid)} {secrets.token_hex(4)}"


def holder_is_dead(holder: str) -> bool:
    """Whether the holder certainly does not run any more. Of another host that cannot be told."""
    parts = holder.split()
    if len(parts) != 5 or parts[0] != _boot_id() or parts[1] != _namespace():
        return False
    return _start_time(int(parts[2])) != parts[3]


def take(holder: str, now: datetime) -> list[Lease]:
    """Renew the lanes of `holder` and take those that nobody holds."""
    with writing():
        at = lease_time(now)
        # Locked, so that two couriers on PostgreSQL take turns; SQLite's writers do anyway.
        lanes = list(Lane.objects.select_for_update().order_by("connection_id"))
        # All that are ours in one statement: two hundred of their own took a fifth of a second, with every
        # writer waiting.
        Lane.objects.filter(holder=holder).update(renewed_at=at)
        dead = cache(holder_is_dead)
        taken = [lane for lane in lanes if lane.holder == holder or _taken(lane, holder, at, dead)]
        Courier.objects.update_or_create(holder=holder, defaults={"beat_at": at})
    return [Lease(lane.connection_id, lane.epoch) for lane in taken]


def let_go(holder: str, connection_id: int) -> None:
    """Let go of one lane; taking it again raises its epoch."""
    with writing():
        Lane.objects.filter(holder=holder, connection_id=connection_id).update(holder="", renewed_at=None)


def give_back(holder: str) -> None:
    """Let go of everything, at an orderly end."""
    with writing():
        Lane.objects.filter(holder=holder).update(holder="", renewed_at=None)
        Courier.objects.filter(holder=holder).delete()


def _taken(lane: Lane, holder: str, at: datetime, dead: Callable[[str], bool]) -> bool:
    """Whether a lane of somebody else, or of nobody, is taken."""
    if not _is_free(lane, at, dead):
        if lane.renewed_at is not None and lane.renewed_at > at + LOST_AFTER:
            # The clock was set back. Who holds it says so at its next renewal; a dead one has it no longer.
            lane.renewed_at = at
            lane.save()
        return False
    lane.holder, lane.renewed_at = holder, at
    lane.epoch += 1
    lane.save()
    return True


def _is_free(lane: Lane, at: datetime, dead: Callable[[str], bool]) -> bool:
    lost = lane.renewed_at is None or lane.renewed_at < at - LOST_AFTER
    return not lane.holder or lost or dead(lane.holder)


def courier_alive(now: datetime) -> bool:
    """Whether a courier beat within the time that a lease lives."""
    at = lease_time(now)
    beats = Courier.objects.filter(beat_at__lte=at + LOST_AFTER).order_by("-beat_at")[:20]
    # One of a clock that was set back since says nothing: who lives beats anew.
    return any(beat.beat_at >= at - LOST_AFTER and not holder_is_dead(beat.holder) for beat in beats)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _start_time(pid: int) -> str:
    """Ticks since boot at which the process began; "" if it is gone or a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] == "Z" else after_name[19]
