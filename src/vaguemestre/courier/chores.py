"""What a courier looks after besides its lanes: each chore at its interval, one after the other, behind mail.

Promise: who rings waits for one chore at most, and not for all that are due. The one that is due longest
comes first, so that each has its turn however often somebody rings. What ends, forgets or tells something is
left alone until the ledger is known not to be a copy (`guard`); mail is routed anew regardless.

Fails with what a chore raises; it is tried again at its next time, and the others are not kept from theirs.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta

import structlog

from vaguemestre.courier.engine import Engine
from vaguemestre.courier.renewal import Renewal
from vaguemestre.courier.watch import Watch
from vaguemestre.ledger import rerouting, retention, set_back
from vaguemestre.mail.value import value

CALM = 5  # looks that nobody rang for, after which what is done at each is done that many times less often
LONG = 2.0  # seconds of chores, behind which another look comes first: it renews the leases
PEOPLE_EVERY = 5.0
CERTIFICATES_EVERY = 60.0
DELAYS_EVERY = 15.0
RENEWALS_EVERY = 5.0
REPORTS_EVERY = 60.0
SWEEP_EVERY = 600.0
SWEEP_AGAIN = 5.0
SUSPENDED = 0.5  # seconds that three looks at clocks take only where the process stood still

log = structlog.get_logger("courier")


@value
class _Chore:
    """One of them.

    Attributes:
        every: seconds from one time to the next; None for those between two looks, more while nobody rings.
        always: whether it is done on a ledger that may be a copy, too.
    """

    do: Callable[[datetime], Awaitable[object]]
    every: float | None = None
    always: bool = False


class Chores:
    """See the module.

    Args:
        engine: what they work with.
        served: the connections whose lanes this courier serves, asked for when they matter.
    """

    def __init__(self, engine: Engine, served: Callable[[], Collection[int]]) -> None:
        self._engine, self._served = engine, served
        self._watch, self._renewal = Watch(engine), Renewal(engine)
        self._stirred_at = -math.inf
        self._ahead: float | None = None  # of the monotonic clock is that of the day, once known
        self._set_back = False  # it was, and there may be more to bring forward
        self._chores = self._all()
        self._due_at = dict.fromkeys(self._chores, engine.network.monotonic())

    def _all(self) -> Mapping[str, _Chore]:
        watch = self._watch
        return {
            "routes": _Chore(self._reroute, always=True),
            "expiry": _Chore(self._expire),
            "clock": _Chore(self._notice_clock),
            "backups": _Chore(watch.backups),
            "delays": _Chore(self._tell_delays, DELAYS_EVERY),
            "notifications": _Chore(watch.notifications),
            "passwords": _Chore(watch.passwords),
            "people": _Chore(self._tell_people, PEOPLE_EVERY),
            "addresses": _Chore(watch.addresses, PEOPLE_EVERY),
            "quotas": _Chore(watch.quotas, PEOPLE_EVERY),
            "certificates": _Chore(self._tell_certificates, CERTIFICATES_EVERY),
            "reports": _Chore(self._report, REPORTS_EVERY),
            "renewals": _Chore(self._renew, RENEWALS_EVERY),
            "sweep": _Chore(self._sweep, SWEEP_EVERY),
        }

    def stirred(self) -> None:
        """Somebody rang."""
        self._stirred_at = self._engine.network.monotonic()

    def soon(self, name: str) -> None:
        """Have it be the next."""
        self._due_at[name] = -math.inf

    async def look(self, now: datetime, *, trusted: bool) -> None:
        """Do what is due; once somebody rings, or it took long, the rest waits for the next look.

        Args:
            now: when.
            trusted: whether the ledger is known not to be a copy.
        """
        began = self._engine.network.monotonic()
        for name in self._due(trusted=trusted):
            chore = self._chores[name]
            every = self._often() if chore.every is None else chore.every
            self._due_at[name] = self._engine.network.monotonic() + every
            await chore.do(now)
            if self._engine.network.monotonic() - began > LONG:
                self._engine.wake()
            if self._engine.woken.is_set():
                return

    async def close(self) -> None:
        """Break off what goes on by itself."""
        await self._renewal.close()

    def _due(self, *, trusted: bool) -> list[str]:
        """Those that are due, the one that is due longest first."""
        at, chores = self._engine.network.monotonic(), self._chores
        names = [name for name, chore in chores.items() if trusted or chore.always]
        due = [name for name in names if self._due_at[name] <= at]
        return sorted(due, key=self._due_at.__getitem__)

    def _often(self) -> float:
        """Seconds between chores of each look: rather more while nobody rings."""
        look = self._engine.look
        calm = self._engine.network.monotonic() - self._stirred_at > CALM * look
        return look * (CALM if calm else 1)

    def _go_on_with(self, name: str) -> None:
        """At the next look, behind what is due longer: a million must keep nothing else from its turn."""
        self._due_at[name] = self._engine.network.monotonic()

    # What each does

    async def _notice_clock(self, _: datetime) -> None:
        """Where the clock was set back, have nothing wait for that; some at each look, likewise."""
        run, before = self._engine.threads.run, self._ahead
        # Of this moment: the look may have begun some seconds ago.
        monotonic = self._engine.network.monotonic
        earlier, now, later = monotonic(), self._engine.now(), monotonic()
        if later - earlier > SUSPENDED:
            return  # this process stood still in between: it cannot be told which came first
        self._ahead = now.timestamp() - later
        by = await run(set_back.seen, now) if before is None else timedelta(seconds=before - self._ahead)
        stepped = by > set_back.SLACK
        if stepped:
            log.warning("clock_set_back", seconds=round(by.total_seconds()))
            await run(set_back.end_sooner, self._served(), by, now)
        if stepped or self._set_back:
            found = await run(set_back.bring_forward, now, self._engine.schedule)
            self._set_back = found >= set_back.BATCH
            if found:
                log.info("deliveries_brought_forward", deliveries=found)
                self._engine.wake()

    async def _reroute(self, now: datetime) -> None:
        """Some at each look, which may claim them then: a million must not keep leases from renewal."""
        moved = await self._engine.threads.run(rerouting.reroute, now)
        if moved == rerouting.BATCH:
            self._go_on_with("routes")
        if moved:
            self._engine.wake()

    async def _expire(self, now: datetime) -> None:
        """Some at each look, likewise: behind a million that ended, each claim would look through them."""
        if await self._engine.threads.run(rerouting.expire, now) == rerouting.BATCH:
            self._go_on_with("expiry")
            self._engine.wake()

    async def _tell_delays(self, now: datetime) -> None:
        """Some at each look, likewise."""
        if await self._watch.delays(now):
            self._go_on_with("delays")
            self._engine.wake()

    async def _tell_people(self, _: datetime) -> None:
        await self._watch.people()

    async def _tell_certificates(self, now: datetime) -> None:
        await self._watch.certificates(self._served(), now)

    async def _renew(self, now: datetime) -> None:
        await self._renewal.look(self._served(), now)

    async def _report(self, now: datetime) -> None:
        """A day of the week at each look, likewise."""
        if await self._watch.weekly_report(now):
            self._go_on_with("reports")
            self._engine.wake()

    async def _sweep(self, now: datetime) -> None:
        """Forget what is due; where something went, there may be more."""
        if await self._engine.threads.run(retention.sweep, now):
            self._due_at["sweep"] = self._engine.network.monotonic() + SWEEP_AGAIN
