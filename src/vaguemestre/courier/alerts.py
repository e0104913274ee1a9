"""Alerts that do not depend on mail: to the log, and as JSON to the operator's URL (`VAGUEMESTRE_ALERT_URL`),
signed as Standard Webhooks has it (`signing`).

`tell` never waits and never fails: the lane that calls it goes on. At most one alert of a kind and connection
goes out in an hour; what comes in between is held back, the latest of it, and goes out when the hour is over,
unless it has become old: a recovery makes the troubles before it old, and a trouble the recovery. So nobody
is flooded, and the last word is never lost. What a web server does not take (any answer but 2yz) is tried a
few times more and then given up, in the log.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import structlog
from django.db import DatabaseError

from vaguemestre.courier.alert_page import page_of
from vaguemestre.courier.alert_wording import Alert, worded
from vaguemestre.courier.digest import Digest
from vaguemestre.http_transport import Address, HttpFailed, HttpTransport, Request
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.lookup import Named
from vaguemestre.policy.alerting import TROUBLES, AlertKind
from vaguemestre.signing import SigningKey

QUIET = 3600.0  # seconds between two alerts of a kind and connection
AT_ONCE = 4  # requests under way

type Key = tuple[AlertKind, int | None]

log = structlog.get_logger("alerts")


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Destination:
    """Where alerts go, and how they read.

    Attributes:
        address: the operator's URL.
        http: how it is reached.
        named: the public id and the name of a connection; None where it is gone.
        base_url: of the console, without a slash at the end.
        language: of the texts.
        key: signs what is posted; without one it goes out unsigned.
    """

    address: Address
    http: HttpTransport
    named: Callable[[int], Awaitable[Named | None]]
    base_url: str
    language: str = "en"
    key: SigningKey | None = None


@dataclass
class Alerts:
    """See the module. Used from the courier's loop alone.

    Attributes:
        to: None tells no web server.
        digest: tells people by mail, as often; None tells nobody.
        pauses: seconds before each further try of one that was not taken.
        quiet: as `QUIET`.
        now: the time of day.
        monotonic: seconds.
    """

    to: Destination | None = None
    digest: Digest | None = None
    pauses: tuple[float, ...] = (5.0, 30.0, 300.0)
    quiet: float = QUIET
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    _told: dict[Key, float] = field(default_factory=dict)
    _held: dict[Key, tuple[Alert, datetime]] = field(default_factory=dict)
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def tell(self, alert: Alert) -> None:
        """Log it, and have it posted as soon as its hour allows."""
        log.warning("alert", kind=alert.kind.value, connection=alert.connection_id, why=alert.why)
        if self.to is None and self.digest is None:
            return
        self._forget_old(alert)
        key = (alert.kind, alert.connection_id)
        self._held[key] = (alert, self.now())
        wait = self._told.get(key, -self.quiet) + self.quiet - self.monotonic()
        if wait <= 0:
            self._release(key)
        elif key not in self._timers:
            self._timers[key] = asyncio.get_running_loop().call_later(wait, self._release, key)

    async def close(self, within: float = 3.0) -> None:
        """Let go what was held back, wait a little for what is under way, and give up the rest.

        The next courier knows nothing of what was held back, and does not find it out again.
        """
        if self.digest is not None:
            self._tasks.add(asyncio.create_task(self.digest.close()))
            self.digest = None  # it has its own limit, and what it keeps back is in the log
        for key in tuple(self._held):
            self._release(key)
        for timer in self._timers.values():
            timer.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            for task in late:
                task.cancel()

    def _forget_old(self, alert: Alert) -> None:
        recovered = alert.kind is AlertKind.CONNECTION_RECOVERED
        old = TROUBLES if recovered else {AlertKind.CONNECTION_RECOVERED} if alert.kind in TROUBLES else ()
        for kind in old:
            self._held.pop((kind, alert.connection_id), None)

    def _release(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        held = self._held.pop(key, None)
        if held is None:
            return
        self._told[key] = self.monotonic()
        if self.digest is not None:
            self.digest.add(*held)
        if self.to is not None:
            task = asyncio.create_task(self._post(self.to, *held))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, to: Destination, alert: Alert, at: datetime) -> None:
        message, body = f"alert_{uuid4().hex}", await _body(to, alert, at)
        for pause in (*self.pauses, None):
            async with self._turns:
                why = await _try(to, self._request(to, message, body))
            if not why:
                return
            log.warning("alert_not_taken", kind=alert.kind.value, host=to.address.host, why=why)
            if pause is not None:
                await asyncio.sleep(pause)
        log.error("alert_given_up", kind=alert.kind.value, connection=alert.connection_id)

    def _request(self, to: Destination, message: str, body: bytes) -> Request:
        """Signed with the time of this try, under the id that all tries have in common."""
        signature = {} if to.key is None else to.key.headers(message, self.now(), body)
        return Request("POST", to.address, {"Content-Type": "application/json", **signature}, body)


async def _try(to: Destination, request: Request) -> str:
    """Why it was not taken; "" where it was."""
    try:
        answer = await to.http.send(request)
    except HttpFailed as failed:
        return failed.why
    return "" if 200 <= answer.status < 300 else f"status {answer.status}"


async def _body(to: Destination, alert: Alert, at: datetime) -> bytes:
    named = await _named(to, alert.connection_id)
    what, remedy = worded(alert, "" if named is None else named.name, to.language)
    told = {
        "kind": alert.kind.value,
        "connection": None if named is None else {"id": named.uid, "name": named.name},
        "what": what,
        "remedy": remedy,
        "at": at.isoformat(),
        "url": to.base_url + page_of(alert, named),
    }
    return json.dumps(told, ensure_ascii=False).encode()


async def _named(to: Destination, connection_id: int | None) -> Named | None:
    """The alert goes out without a name rather than not at all."""
    try:
        return None if connection_id is None else await to.named(connection_id)
    except (DatabaseError, *AWAY) as error:
        log.warning("database_away", at="alert", error=type(error).__name__)
        return None
