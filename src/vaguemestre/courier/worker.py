"""The courier process: renews its leases, lets every lane work, and does its chores behind them.

One loop, no lane waits for another. It looks for work when the bell rings (`ledger.wake`), when something
becomes due, and once a second in case a ring was lost. On SIGTERM it claims nothing more, lets what runs end
within `Engine.drain` seconds, returns the rest, and gives its lanes back; a second signal breaks off. What it
breaks off after a stage is in doubt, and found so by the next holder of the lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import Awaitable
from datetime import datetime, timedelta

import structlog

from vaguemestre.courier.absence import Absence
from vaguemestre.courier.chores import Chores
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.guard import Foreign, Guard
from vaguemestre.courier.lane import Lane, open_lane
from vaguemestre.ledger import evidence, lanes, leases, recovery, storing, wake
from vaguemestre.ledger.claims import Stale
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.leases import Lease

BREATH = 0.005  # seconds from one look to the next at least: under load, what comes meanwhile is one claim
DEEP_BREATH = 0.025  # the same while every lane at work has its next messages in hand
BELL_REST = 1.0  # seconds before a bell that fell down is hung up again
LANE_REST = 30.0  # seconds for which a lane is left alone after a fault of ours
_TICK = 0.001  # seconds, of uvloop's clock
RECORDING = 3.0  # seconds at least for what is still to be recorded then

log = structlog.get_logger("courier")


class Worker:
    """The loop of one courier."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.holder = leases.new_holder()
        self._leases: dict[int, Lease] = {}
        self._lanes: dict[int, Lane] = {}
        self._renewal_due_at = -math.inf
        self._seen: set[int] = set()
        self._epochs: set[int] = set()
        self._looked_at = -math.inf
        self._next_at: datetime | None = None
        self._told: dict[Lease, dict[str, object]] = {}
        self._guard = Guard(engine)
        self._chores = Chores(engine, lambda: tuple(self._leases))
        self._absence = Absence(self.holder, engine.network.monotonic)
        self._replayed = False
        self._rests: dict[int, float] = {}  # until when a lane that failed is left alone, by connection
        self._stopping = asyncio.Event()
        self._until = math.inf  # when the pause that is under way ends at the latest, on the loop's clock
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = math.inf  # on the loop's clock; uvloop's handles do not tell it

    def stop(self) -> None:
        """Drain and end. Once more: break off."""
        if self._stopping.is_set():
            for task in asyncio.all_tasks():
                task.cancel()
        self._stopping.set()
        self.engine.wake()

    async def run(self) -> None:
        """Work until stopped; the database may come and go."""
        bell = asyncio.create_task(self._hear())
        try:
            await self._run()
        finally:
            bell.cancel()
        await self._end()

    async def _run(self) -> None:
        storing.begin_anew()
        while not self._stopping.is_set():
            try:
                await self.turn()
                self._absence.over()
                await self._pause(self._rest())
            except AWAY as error:
                self._absence.met(error)
                self._renew_soon()  # and have the guard look: another one may come back
                await self._pause(1.0)
            except Foreign:
                raise
            except Exception:
                # A fault of ours in one of its chores; leases and lanes go on.
                log.exception("turn_failed")
                await self._pause(1.0)

    async def _hear(self) -> None:
        """Have every ring wake the worker; a bell that fell down costs a second, not more."""
        told = ""
        while True:
            try:
                await wake.listen(self.engine.wake)
            except Exception as error:  # noqa: BLE001  whatever it is, looks go on
                if told != (told := str(error)):  # once, and not at every try
                    log.warning("bell_silent", error=told)
            await asyncio.sleep(BELL_REST)

    def _rest(self) -> float:
        """Seconds until the next look, if nobody rings."""
        if self._next_at is None:
            return self.engine.look
        return min(self.engine.look, max(0.0, (self._next_at - self.engine.now()).total_seconds()))

    async def turn(self) -> None:
        """One look at everything: leases, lanes, chores."""
        now = self.engine.now()
        at = self.engine.network.monotonic()
        if at >= self._renewal_due_at:
            self._renewal_due_at = at + leases.RENEWED_EVERY.total_seconds()
            await self._renew(now)
        await self._work(now)
        # In what may be a copy nothing ends, and nothing is forgotten, that a person may be about to ask for.
        await self._chores.look(now, trusted=self._guard.trusted)
        for session in self.engine.pool.expired(self.engine.network.monotonic()):
            self.engine.close_later(session)

    def _renew_soon(self) -> None:
        """With the next turn."""
        self._renewal_due_at = -math.inf

    async def _renew(self, now: datetime) -> None:
        await self._guard.look(now)
        if not self._replayed:
            await self._replay(now)
        asked = self.engine.boottime()
        taken = await self.engine.threads.run(leases.take, self.holder, now)
        self.engine.renewed = asked
        # Known is what was recovered here, not what was held: a taking may go unseen, a recovery fail.
        known = set(self._leases.values())
        self._leases = {lease.connection_id: lease for lease in taken if lease in known}
        new = [lease for lease in taken if lease not in known]
        if new:
            await self._replay(now)
        for lease in new:
            if await self._recovered(lease, now):
                self._leases[lease.connection_id] = lease
        await self._tell_activities(now)

    async def _replay(self, now: datetime) -> None:
        """Settle what dead couriers of this machine knew and could not record, ahead of any recovery."""
        outcomes = self.engine.outcomes
        entries = [] if outcomes is None else await asyncio.to_thread(outcomes.left_behind)
        if entries and outcomes is not None:
            settled = await self.engine.threads.run(evidence.replay, entries, now)
            log.info("outcomes_replayed", entries=len(entries), settled=settled)
            await asyncio.to_thread(outcomes.settled)
        self._replayed = True

    async def _tell_activities(self, now: datetime) -> None:
        """Write down what lanes are doing, where it changed."""
        doing = {lane.lease: lane.activity for lane in self._lanes.values()}
        if doing != self._told or any(activity["sessions"] for activity in doing.values()):
            await self.engine.threads.run(lanes.keep_activities, doing, now)
        self._told = doing

    async def _recovered(self, lease: Lease, now: datetime) -> bool:
        """Settle what earlier holders left claimed; a lane where that fails is let go and taken again."""
        connection = lease.connection_id
        self._give_up(connection)
        try:
            found = await self.engine.threads.run(recovery.recover, lease, now, self.engine.schedule)
        except (Stale, *AWAY) as error:
            log.warning("recovery_failed", connection=connection, error=type(error).__name__)
        except Exception:
            # A fault of ours with this lane stops no other.
            log.exception("recovery_failed", connection=connection)
        else:
            log.info("lane_taken", connection=connection, epoch=lease.epoch, recovered=found)
            return True
        await self.engine.threads.run(leases.let_go, self.holder, connection)
        return False

    async def _work(self, now: datetime) -> None:
        asked_at = self._looked_at = self.engine.network.monotonic()
        ahead = timedelta(seconds=self.engine.look)
        surveyed = await self.engine.threads.briefly(lanes.survey, now, ahead)
        self._next_at = min((facts.next_at for facts in surveyed if facts.next_at is not None), default=None)
        self._notice_routing({facts.routing_epoch for facts in surveyed})
        for facts in surveyed:
            await self._attend(facts, asked_at, now)
        active = {facts.connection_id for facts in surveyed}
        for connection_id in self._lanes.keys() - active:
            idle = self._lanes[connection_id]
            await idle.let_go()
            if idle.stale and not idle.busy:
                await self._let_go(connection_id)
        if active - self._seen:
            # A connection appeared: its lane is taken now, not at the next renewal.
            self._renew_soon()
            self.engine.wake()
        self._seen = active

    def _notice_routing(self, epochs: set[int]) -> None:
        """Nothing of an older epoch is claimed: have it routed anew at once."""
        if epochs != self._epochs:
            self._chores.soon("routes")
        self._epochs = epochs

    async def _attend(self, facts: lanes.LaneFacts, asked_at: float, now: datetime) -> None:
        """Let one lane work; a fault of ours with it stops no other."""
        if asked_at < self._rests.get(facts.connection_id, asked_at):
            return
        try:
            lane = await self._lane(facts, asked_at)
            if lane is not None:
                await lane.fill(now)
        except AWAY:
            raise
        except Exception:
            log.exception("lane_failed", connection=facts.connection_id)
            self._rests[facts.connection_id] = asked_at + LANE_REST

    async def _lane(self, facts: lanes.LaneFacts, asked_at: float) -> Lane | None:
        lease, lane = self._leases.get(facts.connection_id), self._lanes.get(facts.connection_id)
        if lease is None:
            return None
        if lane is not None and lane.stale and not lane.busy:
            await self._let_go(facts.connection_id)
            return None
        if lane is None:
            lane = await open_lane(self.engine, lease, facts)
            if lane is not None:
                self._lanes[facts.connection_id] = lane
            return lane
        await lane.update(facts, lease, asked_at)
        return lane

    async def _let_go(self, connection_id: int) -> None:
        """Give a stale lane up, to take it again with a new epoch: what it left claimed is recovered then."""
        await self.engine.threads.run(leases.let_go, self.holder, connection_id)
        self._give_up(connection_id)
        self._leases.pop(connection_id, None)
        self._renew_soon()

    def _give_up(self, connection_id: int) -> None:
        lane = self._lanes.pop(connection_id, None)
        if lane is not None:
            lane.give_up()

    async def _pause(self, seconds: float) -> None:
        """Until somebody rings, but for a breath, or that long."""
        loop = asyncio.get_running_loop()
        self._until = until = loop.time() + seconds
        if until < self._alarm_at:
            self._set_alarm(loop)
        try:
            await self.engine.woken.wait()
        finally:
            self._until = math.inf
        if loop.time() < until:
            self._chores.stirred()
        await self._breathe()
        self.engine.woken.clear()

    # One timer stays, and is set again when it comes too early: to make one for each pause and cancel it, as
    # a ring ends most, would be a part of the way of each message that comes alone.

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        # Where less is left, uvloop calls with its next turn, and again and again until its clock moves.
        self._alarm_at = max(self._until, loop.time() + _TICK)
        self._alarm = loop.call_at(self._alarm_at, self._alarmed, loop)

    def _alarmed(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm, self._alarm_at = None, math.inf
        if self._until <= loop.time():
            self.engine.woken.set()
        elif self._until < math.inf:
            self._set_alarm(loop)

    async def _breathe(self) -> None:
        """Let some time pass between two looks; a lane may run out meanwhile."""
        while True:
            at_work = [lane for lane in self._lanes.values() if lane.at_work]
            breath = DEEP_BREATH if at_work and all(lane.supplied for lane in at_work) else BREATH
            left = self._looked_at + breath - self.engine.network.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, BREATH))

    async def _end(self) -> None:
        log.info("draining", lanes=len(self._lanes))
        await self._try("chores", self._chores.close())
        working = [asyncio.create_task(lane.drain()) for lane in self._lanes.values()]
        deadline = self.engine.ends_at = self.engine.network.monotonic() + self.engine.drain
        while working and (left := deadline - self.engine.network.monotonic()) > 0:
            _, pending = await asyncio.wait(working, timeout=min(left, leases.RENEWED_EVERY.total_seconds()))
            working = list(pending)
            if working:
                # A lease that ran out would keep what is about to end from being recorded.
                await self._try("renewal", self._renew(self.engine.now()))
        for lane in self._lanes.values():
            await self._try("breaking_off", lane.cancel())
            await self._try("putting_back", lane.let_go())
        await self._recorded(RECORDING)
        if not self.engine.recorder.away:
            # A slow disk has what is left of the drain; where the database is away, `outcomes` has them.
            await self._recorded(deadline - self.engine.network.monotonic())
        await self._try("mark", self._guard.look(self.engine.now()))
        await self._try("closing", self.engine.close())
        await self._try("giving_back", self.engine.threads.run(leases.give_back, self.holder))

    async def _recorded(self, within: float) -> None:
        """Wait for what is still to be recorded: what is not, though it was accepted, is in doubt."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.engine.recorder.written()

    async def _try(self, what: str, done: Awaitable[object]) -> None:
        """At the end, a database that is away costs only time: the leases run out by themselves.

        No more does a fault of ours, in one step, keep the others from being done.
        """
        try:
            await done
        except AWAY as error:
            log.warning("database_away", at=what, error=str(error).partition("\n")[0])
        except Exception:
            log.exception("end_failed", at=what)


async def serve(engine: Engine) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    worker = Worker(engine)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
