"""A courier of the tests: real ledger, real sockets, and a clock, schedule and timeouts that a test sets."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import uvloop
from django.db import connection as database

from scripted.client import loopback_network
from scripted.sink import SinkServer
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.main import ledger_threads
from vaguemestre.courier.worker import Worker
from vaguemestre.ledger import connections, messages, queue
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.ledger.models import Delivery
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.health import Backoff
from vaguemestre.policy.schedule import RetrySchedule
from vaguemestre.smtp.timeouts import Timeouts

PATIENCE = 30.0  # seconds, beside whatever else the machine does


class Clock:
    """The time of day, which a test moves."""

    def __init__(self):
        self.offset = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.offset

    def advance(self, **amount):
        self.offset += timedelta(**amount)


class Office:
    """The ledger as a door sees it, and a courier to start."""

    def __init__(self):
        self.clock = Clock()
        self.timeouts = Timeouts().at_most(2.0)
        self.schedule = RetrySchedule(jitter=0.0)
        self.backoff = Backoff()
        self.jitter = lambda: 0.5
        self.threads = LedgerThreads(4)

    async def ask(self, function, *args, **kwargs):
        """Call the ledger from a test's coroutine."""
        return await self.threads.run(function, *args, **kwargs)

    async def connect(self, sink, **values):
        values = {
            "name": f"Office {sink.port}",
            "sender_email": "office@example.org",
            "host": "127.0.0.1",
            "port": sink.port,
            "encryption": "none",
        } | values
        return (await self.ask(connections.create, values, "test", self.clock())).connection

    async def post(self, *recipients, sender="asked@example.net", text="hello", headers=(), **submission):
        fields = [f"From: {sender}", "Subject: a test", *headers]
        raw = "\r\n".join([*fields, "", text, ""]).encode()
        to = tuple(Mailbox.parse(recipient) for recipient in recipients or ("to@example.com",))
        envelope = Envelope(Mailbox.parse(sender), to)
        return await self.ask(accept, Submission(envelope, Content(raw), Via.API, **submission), self.clock())

    async def deliveries(self, message):
        found = await self.ask(lambda: messages.deliveries_of(messages.find(str(message.uid))))
        return {delivery.recipient: delivery for delivery in found}

    async def delivery(self, message):
        (only,) = (await self.deliveries(message)).values()
        return only

    async def until(self, message, *states, within=PATIENCE):
        """Wait until every delivery of a message is in one of the states."""
        # Asked again and again, so for nothing but the states.
        await self.until_true(lambda: _states(message) <= set(states), within)
        return await self.deliveries(message)

    async def until_true(self, question, within=PATIENCE):
        """Wait until the ledger says yes. What takes long is asked for less often: asking costs more than waiting."""
        pause = 0.02
        async with asyncio.timeout(within):
            while not await self.ask(question):
                await asyncio.sleep(pause)
                pause = min(1.3 * pause, 0.1)

    def ledger_threads(self):
        return ledger_threads(on_sqlite=database.vendor == "sqlite")

    def worker(self, **engine):
        """As production has it on this database, but for what a test sets; whoever asks ends its threads."""
        made = {
            "network": loopback_network(),
            "timeouts": self.timeouts,
            "schedule": self.schedule,
            "backoff": self.backoff,
            "now": self.clock,
            "jitter": self.jitter,
            "look": 0.1,  # a test's clock jumps, and rings no bell
            "together": database.vendor == "sqlite",
        } | engine
        return Worker(Engine(threads=made.pop("threads", None) or self.ledger_threads(), **made))

    @contextlib.asynccontextmanager
    async def courier(self, **engine):
        worker = self.worker(**engine)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            if not (task.done() or worker._stopping.is_set()):  # a second stop breaks off
                worker.stop()
            await task
            worker.engine.threads.shutdown()


def _states(message):
    return set(Delivery.objects.filter(message=message).values_list("state", flat=True))


@pytest.fixture
def office(transactional_db):
    made = Office()
    yield made
    made.threads.shutdown()


@pytest.fixture
def instead_of_commits(monkeypatch):
    """Have a function called for each commit of marks and results, in the thread that makes it.

    It is given the entries and the commit itself, and answers what that does.
    """
    record_all = queue.record_all

    def have(function):
        def committed(entries, now):
            return function(entries, partial(record_all, entries, now))

        monkeypatch.setattr(queue, "record_all", committed)

    return have


@pytest.fixture
async def sink():
    async with SinkServer() as server:
        yield server


def pytest_asyncio_loop_factories(config, item):
    """That of the couriers."""
    return {"uvloop": uvloop.new_event_loop}
