"""A fault of an upstream server, from the queue to what a person reads of it, beside a connection without any.

    async with facing(office, server) as fault:              # a courier runs, one message is posted
        assert await fault.end() == End("queued", "The server does not answer.", "throttled", 60)
        assert await fault.health() == Health("throttled", "The server does not answer.", "", 60)

Leaving the block proves that the other connection still carries mail at once, that no secret is in the ledger
or in the log, and that the sink saw nothing against the standards.
"""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field, replace

import structlog
from django.apps import apps
from django.db import connection as database
from django.utils import translation
from structlog.testing import capture_logs

from courier.chores_due import all_due
from courier.conftest import PATIENCE
from scripted.certificates import the_authority
from scripted.client import PASSWORD, loopback_network
from scripted.sink import SinkServer
from vaguemestre.ledger import connections, leases, messages, outlook, wording
from vaguemestre.mail.state import DeliveryState

LOGIN = "app"
OFFICE, OTHER = "office@example.org", "other@example.org"
PLAIN = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode()
USER, WORD = (base64.b64encode(text.encode()).decode() for text in (LOGIN, PASSWORD))
SECRETS = (PASSWORD, PLAIN, WORD)
SIGNED_IN = {"login": LOGIN, "password": PASSWORD}

KEYWORDS = {
    "single": SinkServer.keywords[1:],
    "data": SinkServer.keywords,
    "bdat": (*SinkServer.keywords, "CHUNKING"),
}

READY = ("ready", "", "", None)


@dataclass(frozen=True)
class End:
    """How a delivery stands, as its page tells it.

    Attributes:
        state: in the ledger.
        text: why; "" where nothing is the matter.
        outlook: the code of "when will it leave?", or how it ended.
        wait: seconds from the end of the last attempt until it leaves; None where no time is known.
        counted: attempts that count towards expiry; `spent` their seconds.
        doubts: how often it may have arrived.
    """

    state: str
    text: str
    outlook: str
    wait: float | None = None
    counted: int = 0
    spent: float = 0.0
    doubts: int = 0


def retry(text: str, wait: float = 60.0, counted: int = 1, spent: float | None = None) -> End:
    """Deferred, counted, and tried again by the schedule."""
    return End("queued", text, "retry", wait, counted, wait if spent is None else spent)


def waits(text: str, wait: float = 60.0) -> End:
    """Deferred for its connection, at no cost of its own (L7)."""
    return End("queued", text, "throttled", wait)


def locked(text: str) -> End:
    """Deferred until a person acts."""
    return End("queued", text, "locked")


def refused(text: str) -> End:
    """Ended by the server's word."""
    return End("refused", text, "refused", 0.0)


def doubtful(text: str, wait: float | None = 600.0) -> End:
    """It may have arrived: tried again after ten minutes, or (`wait` None) decided by a person."""
    return End("in_doubt", text, "doubt_decide" if wait is None else "doubt_retry", wait, doubts=1)


ACCEPTED = End("accepted", "", "accepted", 0.0)


@dataclass
class Fault:
    """See the module.

    Attributes:
        connection: whose server has the fault; `message` is the first posted to it.
        quiet: the sink of the other connection.
        queued: the messages that waited before the courier began.
    """

    office: object
    connection: object
    quiet: SinkServer
    other: object
    worker: object
    message: object = None
    beside: int = 0
    queued: list[object] = field(default_factory=list)

    async def post(self, *recipients, **submission):
        """Another message through the connection with the fault."""
        message = await self.office.post(*recipients, **{"sender": OFFICE} | submission)
        self.worker.engine.wake()
        return message

    async def later(self, **amount):
        """Let time pass, during which the courier lived."""
        self.office.clock.advance(**amount)
        # What is forgotten matters to no fault, and costs as much as all the rest.
        all_due(self.worker, but={"sweep"})
        self.worker.engine.wake()
        await self.office.until_true(lambda: leases.courier_alive(self.office.clock()))

    def patience(self, **seconds):
        """What a phase may take, of sessions from here on. Others have the usual time: the machine may be busy."""
        self.worker.engine.pool.idle_limit = 0.0
        self.worker.engine.timeouts = replace(self.office.timeouts, **seconds)

    async def unharmed(self, within=2.0):
        """A message through the other connection leaves at once."""
        message = await self.post(f"beside{self.beside}@example.com", sender=OTHER)
        self.beside += 1
        await self.office.until(message, "accepted", within=within)

    async def accepted(self, message=None, within=PATIENCE):
        await self.office.until(message or self.message, "accepted", within=within)

    async def tried(self, message=None, attempts=1, within=PATIENCE):
        """Wait until so many attempts ended; those of the message."""
        message = message or self.message

        def done():
            moving = message.delivery_set.filter(state=DeliveryState.CLAIMED)
            return message.attempt_set.count() >= attempts and not moving.exists()

        await self.office.until_true(done, within=within)
        return await self.office.ask(messages.attempts_of, message)

    async def ends(self, message=None, attempts=1, within=PATIENCE):
        """How each of a message's deliveries stands after so many attempts, by recipient."""
        message = message or self.message
        found = await self.tried(message, attempts, within)
        ended = {attempt.uid: attempt.ended_at for attempt in found}
        return await self.office.ask(_ends, message, ended, self.office.clock())

    async def all_ends(self, attempts=1):
        """How the queued messages stand, in order."""
        return [await self.end(message, attempts) for message in self.queued]

    async def end(self, message=None, attempts=1, within=PATIENCE):
        """The same of a message with one delivery."""
        (end,) = (await self.ends(message, attempts, within)).values()
        return end

    async def said(self, message=None):
        """The server's last words on a message with one delivery."""
        delivery = await self.office.delivery(message or self.message)
        return "" if delivery.last_code is None else f"{delivery.last_code} {delivery.last_text}"

    async def row(self):
        return await self.office.ask(connections.find, str(self.connection.uid))

    async def health(self, message=None):
        """State, why, the server's words, and seconds from the last attempt's end until it is over."""
        return await self.office.ask(_health, self.connection, message or self.message)

    async def until_health(self, state, within=PATIENCE):
        uid = str(self.connection.uid)
        await self.office.until_true(lambda: connections.find(uid).health == state, within)

    async def broken_running(self):
        return (await self.row()).broken_running


def _ends(message, ended, now):
    deliveries = messages.deliveries_of(messages.find(str(message.uid)))
    answers = outlook.of_deliveries(deliveries, now)
    with translation.override("en"):
        pairs = zip(deliveries, answers, strict=True)
        return {one.recipient: _end(one, answer, ended.get(one.attempt)) for one, answer in pairs}


def _end(delivery, answer, ended):
    wait = None if answer.at is None or ended is None else (answer.at - ended).total_seconds()
    text = wording.trouble_text(delivery.trouble) if delivery.trouble else ""
    if delivery.state == DeliveryState.IN_DOUBT:
        text = wording.doubt_text(delivery.doubt_reason)
    return End(
        delivery.state, text, str(answer.code), wait, delivery.counted, delivery.spent, delivery.doubts
    )


def _health(connection, message):
    found = connections.find(str(connection.uid))
    last = max(attempt.ended_at for attempt in messages.attempts_of(message))
    wait = None if found.health_until is None else (found.health_until - last).total_seconds()
    with translation.override("en"):
        why = wording.health_text(found.health_why) if found.health_why else ""
    return found.health, why, found.health_text, wait


@contextlib.asynccontextmanager
async def facing(
    office,
    server,
    *recipients,
    queued=0,
    before=None,
    network=None,
    post=None,
    connect=None,
    engine=None,
    unsaid=SECRETS,
    lawful=True,
):
    """A courier, a connection to the server with the fault, and another without any.

    Args:
        office: of the test.
        server: what has a `port`.
        recipients: of the first message; `post` are its other values. None posts nothing.
        queued: so many messages, to r0@example.com and so on, wait for one session instead of that message.
        before: called with those before the courier begins.
        network: where the first connection's server is looked up and trusted.
        connect: values of the first connection.
        engine: values of the courier's engine.
        unsaid: words that nobody may read anywhere.
        lawful: whether the server's sink sees nothing against the standards.
    """
    with capture_logs([structlog.processors.format_exc_info]) as logged:
        async with SinkServer() as quiet:
            connection = await office.connect(
                server, **{"name": "Faulty", "sender_email": OFFICE} | _one_session(queued) | (connect or {})
            )
            other = await office.connect(quiet, name="Other", sender_email=OTHER)
            waiting = [
                await office.post(f"r{number}@example.com", sender=OFFICE, **(post or {}))
                for number in range(queued)
            ]
            if before is not None:
                await office.ask(before, waiting)
            values = {"network": network or loopback_network()} | (engine or {})
            async with office.courier(**values) as worker:
                fault = Fault(office, connection, quiet, other, worker, queued=waiting)
                if not queued and recipients != (None,):
                    fault.message = await fault.post(*recipients, **(post or {}))
                await fault.unharmed()
                yield fault
                await fault.unharmed()
            await _nobody_harmed(fault)
            assert quiet.faults == []
        if isinstance(server, SinkServer) and lawful:
            assert server.faults == []
        told = repr(logged) + await office.ask(_ledger)
        assert [word for word in unsaid if word in told] == []


async def _nobody_harmed(fault):
    """The other connection carried each of its messages once, and is as healthy as before."""
    taken = [taken.recipients for taken in fault.quiet.accepted]
    assert taken == [(f"beside{number}@example.com",) for number in range(fault.beside)]
    other = await fault.office.ask(connections.find, str(fault.other.uid))
    assert (other.health, other.broken_running) == ("ready", 0)


def _one_session(queued):
    return {"limits": {"max_sessions": 1}} if queued else {}


def _ledger():
    """All that is kept and may be read by somebody, as the database has it; what is sealed is in `Secret`."""
    models = [model for model in apps.get_app_config("ledger").get_models() if model.__name__ != "Secret"]
    told = []
    with database.cursor() as cursor:  # no models: to compile their queries took 16 ms a test, all this 0.5
        for model in models:
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            told.append(repr(cursor.fetchall()))
    return "".join(told)


def trusting(folder):
    """A network that may dial loopback and trusts the test authority."""
    return loopback_network(str(the_authority().write(folder)))


def everybody(sink: SinkServer) -> list[str]:
    """Each recipient that a sink took a message for, as often as it did."""
    return sorted(recipient for taken in sink.accepted for recipient in taken.recipients)
