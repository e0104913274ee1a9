"""A lane: one connection's deliveries in this courier, its sessions and what it knows of them.

A lane claims a little more than its sessions can carry, works it with at most `max_sessions` at once, and
claims nothing while its connection is throttled, locked or paused; past the end of a throttle one delivery
goes ahead as a probe. A lane that fails never touches another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta

import structlog

from vaguemestre.courier.attempt import attempt
from vaguemestre.courier.engine import Engine
from vaguemestre.ledger import lanes, queue, vault
from vaguemestre.ledger.connections import SECRET_UNREADABLE
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.lanes import LaneFacts
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.queue import Claim, Stale
from vaguemestre.policy.health import locked, probing, serves
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import Session

SESSIONS = 3  # at once, where a connection says nothing: what Microsoft 365 allows a mailbox
AHEAD = 20  # deliveries claimed for each session, so that claiming is rare and a crash recovers few

LIMIT_PAUSE = timedelta(seconds=1)

log = structlog.get_logger("courier")


class Lane:
    """See the module.

    Attributes:
        hop: where its sessions dial, as of `facts.version`.
        domains_refused: recipient domains that were refused access, one after the other.
    """

    def __init__(self, engine: Engine, lease: Lease, facts: LaneFacts, hop: NextHop) -> None:
        self.engine = engine
        self.lease = lease
        self.facts = facts
        self.hop = hop
        self.domains_refused: set[str] = set()
        self.stale = False
        self._asks_again = engine.now()
        self._waiting: deque[Claim] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        state = self.facts.health.state.name
        running, waiting = len(self._running), len(self._waiting)
        return f"<Lane {self.facts.connection_id} {state} {running} running {waiting} waiting>"

    @property
    def busy(self) -> bool:
        """Whether anything is in its hands."""
        return bool(self._running or self._waiting)

    def lease_is_ours(self) -> bool:
        """Whether the lease was renewed recently enough, counting time asleep."""
        return not self.stale and self.engine.leases_hold()

    async def update(self, facts: LaneFacts, lease: Lease) -> None:
        """Take over what the ledger says now; other settings, another hop."""
        if facts.version != self.facts.version:
            await self._read_hop(facts)
        self.facts, self.lease = facts, lease

    async def _read_hop(self, facts: LaneFacts) -> None:
        self.domains_refused.clear()
        hop = await _hop(self.engine, facts)
        if hop is None:
            self.stale = True
        else:
            self.hop = hop

    async def fill(self, now: datetime) -> None:
        """Claim what is due, as far as there is room and the connection may work."""
        room = self._room(now)
        if room <= 0 or not self.facts.due or self.stale or now < self._asks_again:
            return
        try:
            claims = await self.engine.threads.run(queue.claim, self.lease, room, now)
        except Stale:
            self.stale = True
            return
        except AWAY:
            self.stale = True  # the claim may have been committed unseen: only a new epoch finds it
            raise
        if not claims:
            # Its limits leave nothing for now; asking ten times a second would only cost.
            self._asks_again = now + LIMIT_PAUSE
        self._waiting.extend(claims)
        self.start(now)

    def start(self, now: datetime) -> None:
        """Begin attempts while there are sessions to spare; what a stale lane holds is for `recover`."""
        if self.stale:
            self._waiting.clear()
        while self._waiting and len(self._running) < self._sessions(now):
            task = asyncio.create_task(self._work(self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _sessions(self, now: datetime) -> int:
        if not serves(self.facts.health, now):
            return 0
        return 1 if probing(self.facts.health, now) else self.facts.max_sessions or SESSIONS

    def _room(self, now: datetime) -> int:
        sessions = self._sessions(now)
        if probing(self.facts.health, now):
            return 0 if self.busy else 1
        if len(self._waiting) > sessions:
            return 0  # enough for now: a claim is a transaction, and rather a large one than many
        return sessions * AHEAD - len(self._waiting) - len(self._running)

    async def _work(self, claim: Claim) -> None:
        try:
            await attempt(self, claim)
        except Stale as stale:
            self.stale = True
            log.warning("lane_lost", connection=self.facts.connection_id, why=str(stale))
        except Exception:
            # A fault of ours: the claim stays claimed and is recovered with the lane, nothing is sent twice.
            self.stale = True
            log.exception("attempt_failed", connection=self.facts.connection_id)
        now = self.engine.now()
        if not serves(self.facts.health, now):
            await self.let_go()
        self.start(now)
        self.engine.wake()

    async def let_go(self) -> None:
        """Return what was claimed and not begun."""
        waiting, self._waiting = list(self._waiting), deque()
        if waiting and not self.stale:
            try:
                await self.engine.threads.run(queue.put_back, self.lease, waiting, self.engine.now())
            except (Stale, *AWAY) as error:
                self.stale = True  # they stay claimed until a new epoch recovers them
                log.warning("not_put_back", connection=self.facts.connection_id, error=type(error).__name__)

    async def drain(self) -> None:
        """Begin nothing more and wait for what runs."""
        await self.let_go()
        if self._running:
            await asyncio.wait(self._running)

    async def cancel(self) -> None:
        """Break off what runs: what was staged will be found in doubt, the rest queued."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=2)

    def borrow(self) -> Session | None:
        """An idle session of this very hop, if there is one to trust."""
        return self.engine.pool.borrow(self.hop, self.engine.network.monotonic())

    async def give_back(self, session: Session) -> None:
        """Keep a session for the next message, or close it."""
        unwanted = self.engine.pool.give_back(session, self.engine.network.monotonic())
        if unwanted is not None:
            self.engine.close_later(unwanted)


async def open_lane(engine: Engine, lease: Lease, facts: LaneFacts) -> Lane | None:
    """A lane whose connection may work; None while it may not, or where its secret cannot be read."""
    if not serves(facts.health, engine.now()):
        return None
    hop = await _hop(engine, facts)
    return None if hop is None else Lane(engine, lease, facts, hop)


async def _hop(engine: Engine, facts: LaneFacts) -> NextHop | None:
    """Where to dial. A secret that cannot be read locks the connection: nothing is dialled without it."""
    try:
        return await engine.threads.run(lanes.hop_of, facts.connection_id)
    except (vault.KeyMissing, vault.Unreadable) as error:
        log.error("secret_unreadable", connection=facts.connection_id, why=str(error))  # noqa: TRY400
    state = locked(facts.health, SECRET_UNREADABLE)
    await engine.threads.run(queue.keep_health, facts.connection_id, facts.version, state)
    return None
