"""A lane: one connection's deliveries in this courier, its sessions and what it knows of them.

A lane claims ahead of its sessions, works with at most `max_sessions` at once, and claims nothing while its
connection is throttled, locked or paused; past the end of a throttle one delivery goes ahead as a probe. It
remembers the manner that its server takes. A lane that fails never touches another.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError

from vaguemestre.courier.attempt import Attempt, judged, report, unopened
from vaguemestre.courier.carriage import Carriage
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.telling import tell, tell_health
from vaguemestre.courier.tokens import open_signed_in
from vaguemestre.ledger import contents, lanes, queue, recovery, vault
from vaguemestre.ledger.claims import Claim, Report, Stale
from vaguemestre.ledger.connections import SECRET_UNREADABLE
from vaguemestre.ledger.contents import Departing
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.lanes import LaneFacts
from vaguemestre.ledger.leases import Lease
from vaguemestre.mail.manner import Manner
from vaguemestre.policy.health import locked, probing, serves
from vaguemestre.policy.manner import Sign, learned
from vaguemestre.smtp.flow import Limits
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.window import convey

SESSIONS = 3  # at once, where a connection says nothing: what Microsoft 365 allows a mailbox
AHEAD = (
    48  # deliveries claimed for each session at most: three full windows, so that claims are few and large
)
FIRST = 6  # deliveries claimed for each session until it is known how fast they go
BRISK, SLOW = 2.0, 10.0  # seconds in which a claim was carried: the next is twice, or half as large
CLAIM = 512  # deliveries of one claim at most
READ_AHEAD = 4_194_304  # octets of content read with a claim; what is beyond is read when its turn comes
LIMIT_PAUSE = timedelta(seconds=1)
FAULT_PAUSE = timedelta(seconds=30)  # after a claim that failed by a fault of ours

log = structlog.get_logger("courier")


class Lane:
    """See the module.

    Attributes:
        hop: where its sessions dial, as of `facts.version`.
        domains_refused: recipient domains that were refused access, one after the other.
        stale: it cannot trust what it holds; only another epoch finds it.
    """

    def __init__(self, engine: Engine, lease: Lease, facts: LaneFacts, hop: NextHop) -> None:
        self.engine = engine
        self.lease = lease
        self.facts = facts
        self.hop = hop
        self.ladder = facts.ladder
        self.domains_refused: set[str] = set()
        self.stale = False
        self._draining = False
        self._asks_again = engine.now()
        self._health_known_at = -math.inf
        self._waiting: deque[Attempt] = deque()
        self._carrying: dict[asyncio.Task[None], Session | None] = {}
        self._filling: asyncio.Task[None] | None = None
        self._unrecorded = 0
        self._ahead = FIRST
        self._claimed_at = -math.inf
        self._more = False  # the last claim took all it asked for: there is probably more

    def __repr__(self) -> str:
        state = self.facts.health.state.name
        carrying, waiting = len(self._carrying), len(self._waiting)
        return f"<Lane {self.facts.connection_id} {state} {carrying} sessions {waiting} waiting>"

    @property
    def busy(self) -> bool:
        """Whether anything is in its hands."""
        return bool(self._carrying or self._waiting or self._filling or self._unrecorded)

    @property
    def activity(self) -> dict[str, object]:
        """What it is doing, for people."""
        sessions = [session for session in self._carrying.values() if session is not None]
        return {
            "sessions": len(sessions),
            "in_flight": sum(session.in_flight for session in sessions),
            "window": max((session.window for session in sessions), default=0),
            "waiting": len(self._waiting),
        }

    def lease_is_ours(self) -> bool:
        """Whether the lease was renewed recently enough, counting time asleep."""
        return not self.stale and self.engine.leases_hold()

    async def update(self, facts: LaneFacts, lease: Lease, asked_at: float) -> None:
        """Take over what the ledger said at `asked_at`, on the monotonic clock; other settings, another hop.

        A health that was learned here and recorded later than that is newer than the ledger's.
        """
        if self._health_known_at > asked_at:
            facts = replace(facts, health=self.facts.health)
        tell_health(self.engine.alerts, facts.connection_id, self.facts.health, facts.health)
        if facts.version != self.facts.version:
            self.domains_refused.clear()
            self.ladder = facts.ladder
            self._close(self.engine.pool.surplus(self.hop, 0))
            hop = await _hop(self.engine, facts)
            self.stale = self.stale or hop is None
            self.hop = hop or self.hop
        self.facts, self.lease = facts, lease

    def settle(self, done: Report) -> None:
        """Have a report recorded; what it says of the connection's health counts at once."""
        self._unrecorded += 1
        if done.health is not None:
            # Before the record, which takes a while: another attempt that ends meanwhile counts on.
            self._health_known_at = math.inf
            tell_health(self.engine.alerts, self.facts.connection_id, self.facts.health, done.health, done)
            self.facts = replace(self.facts, health=done.health)
        self.engine.recorder.settle(self, done)
        tell(self.facts.connection_id, done)

    def recorded(self, reports: Collection[Report]) -> None:
        """They are in the ledger, which may be asked again; or they never will be."""
        self._unrecorded -= len(reports)
        if any(done.health is not None for done in reports):
            self._health_known_at = self.engine.network.monotonic()

    # Claiming

    async def fill(self, now: datetime) -> None:
        """Claim what is due, as far as there is room and the connection may work; else let go."""
        if self._waiting and not self._sessions(now):
            await self.let_go()
        if self._filling is None and self._may_claim(now):
            self._filling = asyncio.create_task(self._fill(self._room(now), now))
        if self._filling is not None:
            await asyncio.wait([self._filling])
        self.start(now)

    def _may_claim(self, now: datetime) -> bool:
        due = self.facts.due or self._more
        return (
            due and not self.stale and not self._draining and now >= self._asks_again and self._room(now) > 0
        )

    def _may_begin(self) -> bool:
        """Whether an end of data could be marked, as far as is known: else nothing is begun."""
        return not self._draining and not self.engine.recorder.away and self.lease_is_ours()

    def _room(self, now: datetime) -> int:
        sessions = self._sessions(now)
        if sessions and probing(self.facts.health, now):
            return 0 if self._carrying or self._waiting else 1
        wanted = sessions * self._ahead
        # A claim is a transaction: rather a large one than many.
        return min(CLAIM, wanted - len(self._waiting)) if len(self._waiting) <= wanted // 2 else 0

    def _pace(self) -> None:
        """Claim as much as goes out in some seconds: what is claimed can be neither cancelled nor moved."""
        now = self.engine.network.monotonic()
        took, self._claimed_at = now - self._claimed_at, now
        if self._more and took < BRISK:
            self._ahead = min(AHEAD, self._ahead * 2)
        elif self._more and took > SLOW:
            self._ahead = max(1, self._ahead // 2)

    async def _fill(self, room: int, now: datetime) -> None:
        try:
            attempts = await self.engine.threads.run(_claimed, self.lease, room, now)
        except Stale:
            self.stale = True
        except AWAY as error:
            # The claim may have been committed unseen: only a new epoch finds it.
            self.stale = True
            log.warning("database_away", connection=self.facts.connection_id, error=type(error).__name__)
        except Exception:
            # A fault of ours, perhaps with one message: nothing was claimed, and it is not tried hotly.
            self._asks_again = now + FAULT_PAUSE
            log.exception("claim_failed", connection=self.facts.connection_id)
        else:
            self._took(attempts, room, now)
        finally:
            self._filling = None

    def _took(self, attempts: Sequence[Attempt], room: int, now: datetime) -> None:
        taken = sum(len(attempt.claim.duties) for attempt in attempts)
        if not taken:
            # Its limits leave nothing for now; asking ten times a second would only cost.
            self._asks_again = now + LIMIT_PAUSE
        self._pace()
        self._more = taken >= room > 1
        if taken < room:
            # What the last look said is used up; asked again before the next one, it would be nothing's turn.
            self.facts = replace(self.facts, due=False)
        self._waiting.extend(attempts)
        self.start(now)

    # Carrying

    def start(self, now: datetime) -> None:
        """Have sessions carry what waits; what a stale lane holds is for `recovery`."""
        if self.stale:
            self._waiting.clear()
        room = self._sessions(now) - len(self._carrying) if self._may_begin() else 0
        for _ in range(min(len(self._waiting), room)):
            task = asyncio.create_task(self._carry(self._waiting.popleft()))
            self._carrying[task] = None
            task.add_done_callback(self._carried)

    def _sessions(self, now: datetime) -> int:
        if not serves(self.facts.health, now):
            return 0
        return 1 if probing(self.facts.health, now) else self.facts.max_sessions or SESSIONS

    def pull(self) -> Attempt | None:
        """The next attempt for a session that has room; None where it should end."""
        now = self.engine.now()
        if not self._may_begin() or len(self._carrying) > self._sessions(now):
            return None
        if self._filling is None and self._may_claim(now):
            self._filling = asyncio.create_task(self._fill(self._room(now), now))
        return self._waiting.popleft() if self._waiting else None

    def return_to_front(self, attempt: Attempt) -> None:
        """It goes out next, by whatever session has room."""
        self._waiting.appendleft(attempt)

    async def _carry(self, first: Attempt) -> None:
        try:
            await self._carry_on(first)
        except (Stale, *AWAY) as error:
            self.stale = True
            log.warning("lane_lost", connection=self.facts.connection_id, why=type(error).__name__)

    async def _carry_on(self, first: Attempt) -> None:
        session = None if first.retried else self._borrow()
        try:
            session = session or await self._open()
        except SessionFailed as failed:
            tried = unopened(first.claim, failed.trouble, failed.transcript)
            self.settle(report(self, first, tried, judged(self, first, tried)))
            return
        carriage = Carriage(self, session, first)
        if task := asyncio.current_task():
            self._carrying[task] = session
        try:
            await convey(session, carriage, self.ladder.manner, Limits())
        except (Stale, *AWAY):
            raise
        except Exception:
            session.abort()
            log.exception("session_failed", connection=self.facts.connection_id)
            carriage.break_off()
        finally:
            # Cancelled or not, the pool takes back only what is beyond doubt.
            self._give_back(session)
            carriage.end()

    async def _open(self) -> Session:
        engine, hop = self.engine, self.hop
        # What is idle counts with the server, too.
        self._close(engine.pool.surplus(hop, (self.facts.max_sessions or SESSIONS) - len(self._carrying)))
        session = await open_signed_in(
            self.facts.connection_id, hop, engine.tokens, engine.network, engine.timeouts
        )
        if self.hop is hop:
            self.hop = session.hop  # with the token that was taken, where it signs in with one
        return session

    def _close(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            self.engine.close_later(session)

    def _carried(self, task: asyncio.Task[None]) -> None:
        self._carrying.pop(task, None)
        now = self.engine.now()
        self.start(now)
        if self._waiting or self.stale:
            self.engine.wake()  # to let go of what cannot be begun now

    def learn(self, sign: Sign, seen: Manner, began_at: datetime) -> None:
        """What a session told of the manner that the server takes; `began_at` is when it began to carry."""
        ladder = learned(self.ladder, sign, self.engine.now(), seen=seen, opened=began_at)
        if (ladder.manner, ladder.why) != (self.ladder.manner, self.ladder.why):
            log.info(
                "manner_learned",
                connection=self.facts.connection_id,
                manner=ladder.manner.value,
                why=ladder.why,
            )
            self.engine.later(lanes.keep_ladder, self.lease, self.facts.version, ladder)
        self.ladder = ladder

    # Letting go

    async def let_go(self) -> None:
        """Return what was claimed and not begun."""
        waiting, self._waiting = list(self._waiting), deque()
        if waiting and not self.stale:
            claims = [attempt.claim for attempt in waiting]
            try:
                await self.engine.threads.run(recovery.put_back, self.lease, claims, self.engine.now())
            except (Stale, *AWAY) as error:
                self.stale = True  # they stay claimed until a new epoch recovers them
                log.warning("not_put_back", connection=self.facts.connection_id, error=type(error).__name__)

    async def drain(self) -> None:
        """Begin nothing more and wait for what is on its way."""
        self._draining = True
        if self._filling is not None:
            await asyncio.wait([self._filling])
        while self._carrying:
            await self.let_go()
            await asyncio.wait(list(self._carrying))
        await self.let_go()

    async def cancel(self) -> None:
        """Break off what runs: what was staged will be found in doubt, the rest queued."""
        for task in self._carrying:
            task.cancel()
        if self._carrying:
            await asyncio.wait(list(self._carrying), timeout=2)

    def _borrow(self) -> Session | None:
        """An idle session of this very hop, if there is one to trust."""
        return self.engine.pool.borrow(self.hop, self.engine.network.monotonic())

    def _give_back(self, session: Session) -> None:
        """Keep a session for the next message, or close it."""
        unwanted = self.engine.pool.give_back(session, self.engine.network.monotonic())
        if unwanted is not None:
            self.engine.close_later(unwanted)


def _claimed(lease: Lease, room: int, now: datetime) -> list[Attempt]:
    """Claims with as much of their contents as may be read ahead, in one call of a ledger thread."""
    claims = queue.claim(lease, room, now)
    read = _read_ahead(claims)
    return [Attempt(claim, read.get(claim.attempt)) for claim in claims]


def _read_ahead(claims: Iterable[Claim]) -> dict[UUID, Departing]:
    soon, left = [], READ_AHEAD
    for claim in claims:
        left -= claim.size
        if left < 0:
            break
        soon.append(claim)
    try:
        return contents.departing(soon) if soon else {}
    except AWAY:
        raise
    except (DatabaseError, ValueError, KeyError) as error:
        # One of them cannot be read; each is read again by itself, so that it blames no other.
        log.warning("read_ahead_failed", error=type(error).__name__)
        return {}


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
    await engine.threads.run(keep_health, facts.connection_id, facts.version, state)
    return None
