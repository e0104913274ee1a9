"""What a lane has claimed and not begun: claimed ahead of its sessions, and let go where they cannot work.

A claim is a transaction, so it is rather a large one than many; but what is claimed can be neither cancelled
nor moved, so it is never more than goes out within some seconds. Contents come with the claim as far as
`READ_AHEAD` goes.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from vaguemestre.courier.attempt import Attempt
from vaguemestre.ledger import allowance, contents, queue, recovery
from vaguemestre.ledger.claims import Claim, Stale
from vaguemestre.ledger.contents import Departing
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.leases import Lease
from vaguemestre.policy.health import probing
from vaguemestre.policy.turns import USUAL, order

if TYPE_CHECKING:
    from vaguemestre.courier.lane import Lane

AHEAD = 48  # deliveries claimed for each session at most: three full windows, so that claims are few
FIRST = 16  # deliveries claimed for each session until it is known how fast they go: its first windows
BRISK, SLOW = 2.0, 10.0  # seconds in which a claim was carried: the next is twice, or half as large
CLAIM_LIMIT = 128  # deliveries of one claim at most: who else writes waits for it, some 3 ms
READ_AHEAD = 4_194_304  # octets of content read with a claim; what is beyond is read when its turn comes
LIMIT_PAUSE = 1.0  # seconds
FAULT_PAUSE = 30.0  # after a claim that failed by a fault of ours

log = structlog.get_logger("courier")


class Supply:
    """See the module."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._waiting: deque[Attempt] = deque()
        self._aside: list[Attempt] = []
        self._filling: asyncio.Future[None] | None = None  # over with the claim that is under way
        self._more = False  # the last claim took all it asked for: there is probably more
        self._claims = 0  # that took anything
        self._taken = self._pulled = 0  # attempts: by the last claim, and since
        self._ahead = FIRST
        self._used: float | None = None  # the look whose word on what is due a claim used up
        self._claimed_at = -math.inf
        self._asks_again_at = -math.inf  # on the monotonic clock: the time of day may be set back

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether anything waits, or is being claimed."""
        return bool(self._waiting or self._aside or self._filling)

    async def fill(self, now: datetime) -> None:
        """Claim what is due, as far as there is room and the connection may work; else let go."""
        if self._aside or (self._waiting and not self._lane.sessions(now)):
            await self.let_go()
        room = self._wanted(now)
        if not room:
            await self.filled()
            return
        # By the task at hand: another one would begin a turn of the loop later.
        self._filling = filling = asyncio.get_running_loop().create_future()
        try:
            await self._fill(room, now)
        finally:
            filling.set_result(None)

    async def filled(self) -> None:
        """Wait for a claim that is under way."""
        if self._filling is not None:
            await asyncio.wait([self._filling])

    def pull(self, now: datetime, sessions: int, *, fresh: bool) -> Attempt | None:
        """The next attempt, if one waits that may go so; the next claim is begun before they run out.

        Args:
            now: when.
            sessions: how many may be at work then.
            fresh: whether the session is a new one.
        """
        waiting = self._waiting
        if 2 * len(waiting) <= sessions * self._ahead:
            self._begin(now)
        if not waiting or (waiting[0].retried and not fresh):
            return None
        self._pulled += 1
        return waiting.popleft()

    def return_to_front(self, attempt: Attempt) -> None:
        """It goes out next, by whatever session has room; never if it may have gone out already."""
        if attempt.staged_at is None:
            self._waiting.appendleft(attempt)
        else:
            self._aside.append(attempt)

    def forget(self) -> None:
        """What a stale lane holds is for `recovery`."""
        self._waiting.clear()
        self._aside.clear()

    async def let_go(self) -> None:
        """Return what was claimed and not begun."""
        lane = self._lane
        waiting = [*self._waiting, *self._aside]
        self._waiting, self._aside = deque(), []
        if not waiting or lane.stale:
            return
        claims = [attempt.claim for attempt in waiting]
        doubtful = {attempt.claim.attempt for attempt in waiting if attempt.staged_at is not None}
        try:
            await lane.engine.threads.run(recovery.put_back, lane.lease, claims, lane.engine.now(), doubtful)
        except Exception as error:  # noqa: BLE001  whatever it is
            lane.stale = True  # they stay claimed until a new epoch recovers them
            log.warning("not_put_back", connection=lane.facts.connection_id, error=type(error).__name__)

    def _begin(self, now: datetime) -> None:
        if room := self._wanted(now):
            self._filling = asyncio.create_task(self._fill(room, now))

    def _wanted(self, now: datetime) -> int:
        """How many deliveries to claim now."""
        lane = self._lane
        if self._filling is not None or not lane.may_begin():
            return 0
        if lane.engine.network.monotonic() < self._asks_again_at:
            return 0
        due = self._more or (lane.looked_at != self._used and lane.facts.due)
        return self._room(now) if due else 0

    def _room(self, now: datetime) -> int:
        lane, waiting = self._lane, len(self._waiting)
        sessions = lane.sessions(now)
        if sessions and probing(lane.facts.health, now):
            return 0 if lane.carrying or waiting else 1
        wanted = sessions * self._ahead
        return min(CLAIM_LIMIT, wanted - waiting) if waiting <= wanted // 2 else 0

    async def _fill(self, room: int, now: datetime) -> None:
        began = self._lane.engine.network.monotonic()
        try:
            claimed = await self._claim(room, now)
        finally:
            self._filling = None
        if claimed is None:
            return
        if self._lane.looked_at <= began:
            # Only another look, or a full claim, says that more is due.
            self._used = self._lane.looked_at
        self._took(claimed, room, now)

    async def _claim(self, room: int, now: datetime) -> _Claimed | None:
        """None where it failed."""
        lane = self._lane
        try:
            # A full claim says that there is more, and not of which rank.
            ranks = order(self._claims, lane.facts.late, USUAL if self._more else lane.facts.due)
            # A probe is one delivery, not one message.
            whole = not probing(lane.facts.health, now)
            return await lane.engine.threads.briefly(_claimed, lane.lease, room, now, ranks, whole=whole)
        except Stale:
            lane.stale = True
        except AWAY as error:
            # The claim may have been committed unseen: only a new epoch finds it.
            lane.stale = True
            log.warning("database_away", connection=lane.facts.connection_id, error=type(error).__name__)
        except Exception:
            # A fault of ours, perhaps with one message: nothing was claimed, and it is not tried hotly.
            self._asks_again_at = lane.engine.network.monotonic() + FAULT_PAUSE
            log.exception("claim_failed", connection=lane.facts.connection_id)
        return None

    def _took(self, claimed: _Claimed, room: int, now: datetime) -> None:
        taken = sum([len(attempt.claim.duties) for attempt in claimed.attempts])
        self._claims += taken > 0
        if claimed.exhausted:
            # Asking at every ring would only cost.
            self._asks_again_at = self._lane.engine.network.monotonic() + LIMIT_PAUSE
        self._pace()
        self._taken, self._pulled = len(claimed.attempts), 0
        self._more = taken >= room and not probing(self._lane.facts.health, now)
        self._waiting.extend(claimed.attempts)
        self._lane.start(now)

    def _pace(self) -> None:
        """Have the next claims twice, or half as large, by how fast as many went as the last one took."""
        now = self._lane.engine.network.monotonic()
        took, self._claimed_at = now - self._claimed_at, now
        if self._more and took < BRISK and self._pulled >= self._taken:
            self._ahead = min(AHEAD, self._ahead * 2)
        elif self._more and took > SLOW:
            self._ahead = max(1, self._ahead // 2)


@dataclass(frozen=True)
class _Claimed:
    """What a claim brought.

    Attributes:
        exhausted: whether it brought nothing because the connection's limits leave nothing for now.
    """

    attempts: Sequence[Attempt]
    exhausted: bool = False


def _claimed(lease: Lease, room: int, now: datetime, ranks: Sequence[int], *, whole: bool) -> _Claimed:
    """Claims with as much of their contents as may be read ahead, in one call of the ledger.

    What comes behind the claim's transaction raises nothing: what was claimed is in somebody's hands.
    """
    claims = queue.claim(lease, room, now, ranks, whole=whole)
    if not claims:
        return _Claimed((), allowance.allowance(lease.connection_id, now).exhausted)
    read = _read_ahead(claims)
    return _Claimed([Attempt(claim, read.get(claim.attempt)) for claim in claims])


def _read_ahead(claims: Iterable[Claim]) -> dict[str, Departing]:
    soon, left = [], READ_AHEAD
    for claim in claims:
        left -= claim.size
        if left < 0:
            break
        soon.append(claim)
    try:
        return contents.departing(soon) if soon else {}
    except Exception as error:  # noqa: BLE001  whatever it is: each is read again by itself, and blames no other
        log.warning("read_ahead_failed", error=type(error).__name__)
        return {}
