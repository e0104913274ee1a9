"""A lane: one connection's deliveries in this courier, its sessions and what it knows of them.

A lane claims ahead of its sessions, works with at most `max_sessions` at once, and claims nothing while its
connection is throttled, locked or paused; past the end of a throttle one delivery goes ahead as a probe. It
remembers the manner that its server takes. A lane that fails never touches another.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from vaguemestre.courier.at_once import at_once
from vaguemestre.courier.attempt import Attempt, judged, poisoned, report, unopened
from vaguemestre.courier.carriage import Carriage
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.origin import Origin
from vaguemestre.courier.supply import Supply
from vaguemestre.courier.telling import tell, tell_health
from vaguemestre.courier.tokens import open_signed_in
from vaguemestre.ledger import lanes, vault
from vaguemestre.ledger.claims import Report, Stale
from vaguemestre.ledger.connections import SECRET_UNREADABLE
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.lanes import LaneFacts
from vaguemestre.ledger.leases import Lease
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import locked, probing, serves
from vaguemestre.policy.manner import Sign, learned, still
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.window import convey

SESSIONS = 3  # at once, where a connection says nothing: what Microsoft 365 allows a mailbox

log = structlog.get_logger("courier")


@dataclass(eq=False, slots=True)
class _Carrying:
    """One that is at work: its session, once there is one."""

    session: Session | None = None
    task: asyncio.Task[None] | None = None


class Lane:
    """See the module.

    Attributes:
        hop: where its sessions dial, as of `facts.version`.
        looked_at: when its facts were asked for, on the monotonic clock.
        domains_refused: recipient domains that were refused access, one after the other.
        stale: it cannot trust what it holds; only another epoch finds it.
    """

    def __init__(self, engine: Engine, lease: Lease, facts: LaneFacts, hop: NextHop) -> None:
        self.engine = engine
        self.lease = lease
        self.facts = facts
        self.hop = hop
        self.ladder = facts.ladder
        self.looked_at = -math.inf
        self.domains_refused: set[str] = set()
        self.stale = False
        self._draining = False
        self._health_known_at = -math.inf
        self._carrying: set[_Carrying] = set()
        self._unrecorded = self._unrecorded_health = 0
        self._supply = Supply(self)
        self._origin = Origin(engine, facts.connection_id)

    def __repr__(self) -> str:
        state = self.facts.health.state.name
        carrying, waiting = len(self._carrying), len(self._supply)
        return f"<Lane {self.facts.connection_id} {state} {carrying} sessions {waiting} waiting>"

    @property
    def busy(self) -> bool:
        """Whether anything is in its hands."""
        return bool(self._carrying or self._supply.busy or self._unrecorded)

    @property
    def carrying(self) -> bool:
        """Whether a session is at work."""
        return bool(self._carrying)

    @property
    def at_work(self) -> int:
        """How many sessions are."""
        return len(self._carrying)

    @property
    def supplied(self) -> bool:
        """Whether each of them has its next message in hand."""
        return len(self._supply) >= self.at_work

    @property
    def activity(self) -> dict[str, object]:
        """What it is doing, for people."""
        sessions = [one.session for one in self._carrying if one.session is not None]
        return {
            "sessions": len(sessions),
            "in_flight": sum(session.in_flight for session in sessions),
            "window": max((session.window for session in sessions), default=0),
            "waiting": len(self._supply),
        }

    async def update(self, facts: LaneFacts, lease: Lease, asked_at: float) -> None:
        """Take over what the ledger said at `asked_at`, on the monotonic clock; other settings, another hop.

        A health that was learned here and recorded later than that is newer than the ledger's.
        """
        if facts.routing_epoch != self.facts.routing_epoch:
            # What was claimed before may not be staged any more: it is routed anew, and not offered in vain.
            await self.let_go()
        same = (facts.version, facts.mechanism) == (self.facts.version, self.facts.mechanism)
        hop = self.hop if same else await _hop(self.engine, facts)
        if self._health_known_at > asked_at:
            facts = replace(facts, health=self.facts.health)
        tell_health(self.engine.alerts, facts.connection_id, self.facts.health, facts.health)
        if facts.version != self.facts.version:
            self.domains_refused.clear()
            self.ladder = facts.ladder
        if hop is not self.hop:
            self._close_idle()
        self.ladder = still(self.ladder, self.engine.now())
        self.stale = self.stale or hop is None
        self.hop = hop or self.hop
        if facts.max_sessions != self.facts.max_sessions:
            self._close(
                self.engine.pool.surplus(self.hop, (facts.max_sessions or SESSIONS) - len(self._carrying))
            )
        self.facts, self.lease, self.looked_at = facts, lease, asked_at

    def settle(self, done: Report) -> None:
        """Have a report recorded; what it says of the connection's health counts at once."""
        self._unrecorded += 1
        if done.health is not None:
            # Before the record, which takes a while: another attempt that ends meanwhile counts on.
            self._health_known_at = math.inf
            self._unrecorded_health += 1
            tell_health(self.engine.alerts, self.facts.connection_id, self.facts.health, done.health, done)
            self.facts = replace(self.facts, health=done.health)
        self.engine.recorder.settle(self, done)

    def recorded(self, reports: Collection[Report]) -> None:
        """They are in the ledger, which may be asked again; or they never will be."""
        self._unrecorded -= len(reports)
        tell(self.facts.connection_id, reports)
        if told := [done for done in reports if done.health is not None]:
            self._unrecorded_health -= len(told)
            if not self._unrecorded_health:
                # Not sooner: until the last of them is there, the ledger has a health that is over.
                self._health_known_at = self.engine.network.monotonic()
        if [settled for done in reports for settled in done.settlements if settled.delay_until is not None]:
            self.engine.wake()  # it may be due at once, or soon

    async def fill(self, now: datetime) -> None:
        """Claim what is due, as far as the connection may work, and have it carried; else let go."""
        await self._supply.fill(now)
        self.start(now)

    # Carrying

    def start(self, now: datetime) -> None:
        """Have sessions carry what waits."""
        if self.stale:
            self._supply.forget()
        begun = []
        while len(self._carrying) < self.sessions(now) and (first := self.pull()) is not None:
            one = _Carrying()
            self._carrying.add(one)
            begun.append((first, one))
        self.engine.carrying += len(begun)  # before the first begins: whether it is alone counts at once
        for first, one in begun:
            one.task = at_once(self._carry(first, one))
            one.task.add_done_callback(partial(self._carried, one))

    def sessions(self, now: datetime) -> int:
        """How many may be at work."""
        if self.facts.health.state is not Health.READY:
            return 1 if probing(self.facts.health, now) else 0
        return self.facts.max_sessions or SESSIONS

    def may_begin(self) -> bool:
        """Whether an end of data could be marked, as far as is known: else nothing is begun."""
        engine = self.engine
        return not (self.stale or self._draining or engine.recorder.away) and engine.leases_hold()

    def pull(self, *, fresh: bool = True) -> Attempt | None:
        """The next attempt for a session that has room; None where there is none, or it should end.

        Args:
            fresh: whether the session is a new one: what is tried again on a new session waits for that.
        """
        now = self.engine.now()
        sessions = self.sessions(now)
        if len(self._carrying) > sessions or not self.may_begin():
            return None
        attempt = self._supply.pull(now, sessions, fresh=fresh)
        if attempt is not None:
            attempt.started_at, attempt.version = now, self.facts.version
        return attempt

    def return_to_front(self, attempt: Attempt) -> None:
        """It goes out next, by whatever session has room."""
        self._supply.return_to_front(attempt)

    async def _carry(self, first: Attempt, one: _Carrying) -> None:
        try:
            await self._carry_on(first, one)
        except (Stale, *AWAY) as error:
            self.stale = True
            log.warning("lane_lost", connection=self.facts.connection_id, why=type(error).__name__)
        except Exception:
            log.exception("session_not_opened", connection=self.facts.connection_id)
            self.settle(poisoned(self, first))

    async def _carry_on(self, first: Attempt, one: _Carrying) -> None:
        one.session = session = await self._session_for(first)
        if session is None:
            return
        carriage = Carriage(self, session, first)
        try:
            await convey(session, carriage, self.ladder.manner, self.engine.limits)
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

    async def _session_for(self, first: Attempt) -> Session | None:
        """An idle session or a new one; None if there is none to be had: it was the attempt's end then."""
        idle = None if first.retried else self._borrow()
        if idle is not None:
            return idle
        try:
            return await self._open()
        except SessionFailed as failed:
            self._origin.seen(failed.trouble.facts.get("seen_address"))
            tried = unopened(first.claim, failed.trouble, failed.transcript)
            self.settle(report(self, first, tried, judged(self, first, tried)))
        except asyncio.CancelledError:
            self.return_to_front(first)
            raise
        return None

    async def _open(self) -> Session:
        await self._have_room()
        engine, hop = self.engine, self.hop
        session = await open_signed_in(
            self.facts.connection_id, hop, engine.tokens, engine.network, engine.timeouts
        )
        self._origin.seen(session.seen_address)
        if self.hop is hop:
            if session.hop != hop:
                self._close_idle()
            self.hop = session.hop  # with the token that was taken, where it signs in with one
        self._notice_certificate(session)
        return session

    async def _have_room(self) -> None:
        """Have the server see no more sessions than it allows: what is idle or leaves counts there, too."""
        most = self.facts.max_sessions or SESSIONS
        pool, hop = self.engine.pool, self.hop
        self._close(pool.surplus(hop, most - len(self._carrying)))
        while (leaving := self.engine.leaving(hop)) and (
            len(self._carrying) + pool.idle(hop) + len(leaving) > most
        ):
            await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)

    def _notice_certificate(self, session: Session) -> None:
        validity = session.validity
        if validity != self.facts.validity:
            self.facts = replace(self.facts, validity=validity)
            self.engine.later(lanes.keep_certificate, self.lease, validity)

    def _close_idle(self) -> None:
        """Those of a hop that is about to be another: nobody would find them, and the server counts them."""
        self._close(self.engine.pool.surplus(self.hop, 0))

    def _close(self, sessions: Iterable[Session]) -> None:
        for session in sessions:
            self.engine.close_later(session)

    def _carried(self, one: _Carrying, _: asyncio.Task[None]) -> None:
        self._carrying.remove(one)
        self.engine.carrying -= 1
        now = self.engine.now()
        self.start(now)
        if self._supply.busy or self.stale:
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

    def give_up(self) -> None:
        """Another one takes its place: nothing is begun any more, and no session kept."""
        self.stale = True
        self._close_idle()
        for task in self._tasks:
            self.engine.leave(self.hop, task)

    async def let_go(self) -> None:
        """Return what was claimed and not begun."""
        await self._supply.let_go()

    async def drain(self) -> None:
        """Begin nothing more and wait for what is on its way."""
        self._draining = True
        await self._supply.filled()
        while self._carrying:
            await self.let_go()
            if tasks := self._tasks:  # which may have ended meanwhile
                await asyncio.wait(tasks)
        await self.let_go()

    async def cancel(self) -> None:
        """Break off what runs: what was staged will be found in doubt, the rest queued."""
        tasks = self._tasks
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)

    @property
    def _tasks(self) -> list[asyncio.Task[None]]:
        return [one.task for one in self._carrying if one.task is not None]

    def _borrow(self) -> Session | None:
        """An idle session of this very hop, if there is one to trust."""
        return self.engine.pool.borrow(self.hop, self.engine.network.monotonic())

    def _give_back(self, session: Session) -> None:
        """Keep a session for the next message, or close it."""
        if session.hop != self.hop or self.stale:
            self.engine.close_later(session)
            return
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
    except vault.Shut as error:
        log.error("secret_unreadable", connection=facts.connection_id, why=str(error))  # noqa: TRY400
    state = locked(facts.health, SECRET_UNREADABLE, now=engine.now())
    await engine.threads.run(keep_health, facts.connection_id, facts.version, state)
    return None
