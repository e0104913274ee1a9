"""U35: servers that do anything at any step, for half a minute; whatever they do, the ledger tells the truth.

The seed is printed; RANDOM_RUN_SEED repeats one, RANDOM_RUN_SECONDS makes it longer, as `make soak`
does. What servers do and what is posted follow from the seed; how it all interleaves does not.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.utils import translation

from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections, leases, messages, outlook, outlook_wording, verifications
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Event, Lane, Message
from vaguemestre.policy.health import Backoff
from vaguemestre.policy.schedule import RetrySchedule, nominal_delay
from vaguemestre.smtp.timeouts import Timeouts

pytestmark = pytest.mark.any_database

SECONDS = float(os.environ.get("RANDOM_RUN_SECONDS") or 30)
CALM = 45.0  # seconds at most until everything is at rest, once servers behave
SCHEDULE = RetrySchedule(delays=(0.3, 0.6, 1.2), then=2.0, jitter=0.0)
FAULTY = 0.06  # the share of steps that go wrong
TOO_LATE = 1.5  # seconds; ours wait for one
PASSWORD = "canary-word-of-u35"
PLAIN = ("SIZE 52428800", "8BITMIME")
KINDS = {
    "plain": PLAIN,
    "pipelining": (*PLAIN, "PIPELINING", "ENHANCEDSTATUSCODES"),
    "chunking": (*PLAIN, "PIPELINING", "CHUNKING"),
    "crowded": (*PLAIN, "PIPELINING", "CHUNKING", "SMTPUTF8"),
}
ANYWHERE = [
    Answer("451 4.3.0 not now"),
    Answer("450 no enhanced code"),
    Answer("550 5.0.0 no"),
    Answer("554 transaction failed"),
    Answer("503 5.5.1 out of order"),
    Answer("421 4.3.2 closing", then="drop"),
    Answer("421 4.3.2 closing"),
    Answer(then="drop"),
    Answer(then="rst"),
    Answer("rubbish"),
    Answer("250ok"),
    Answer("999 what"),
    Answer("354 go on"),
    Answer("250-2.0.0 on\r\n250 2.0.0 and off"),
    Answer("250 2.0.0 ok\r\n250 2.0.0 and more"),
    Answer("250 2.0.0 ok\r\n421 4.4.2 bye", then="drop"),
    Answer("250 2.0.0 ok", then="rst"),
    Answer("250 2.0.0 late", delay=0.2),
    Answer("250 2.0.0 too late", delay=TOO_LATE),
]
AT = {
    "auth": [Answer("454 4.7.0 not now"), Answer("535 5.7.8 no")],
    "mail": [Answer("530 5.7.0 sign in first"), Answer("452 4.3.1 full"), Answer("552 5.3.4 too big")],
    "rcpt": [Answer("550 5.1.1 unknown"), Answer("452 4.5.3 too many"), Answer("550 5.7.1 relay denied")],
    "bdat": [Answer("500 5.5.2 what", reads=False), Answer("502 5.5.1 no BDAT")],
    "content": [
        Answer(then="drop", accepted=True),
        Answer("rubbish", accepted=True),
        Answer("451 4.3.0 and yet taken", accepted=False),
        Answer("", delay=TOO_LATE, then="drop", accepted=True),
    ],
}


class Weather:
    """What servers do: anything while it is rough, their duty once it is calm.

    Attributes:
        bad: how often which step went wrong.
        deaf: sessions of a server that took a content for commands.
    """

    def __init__(self, dice):
        self.dice, self.rough, self.bad, self.deaf = dice, True, Counter(), set()

    def hooks(self, kind):
        phases = ("greeting", "ehlo", "auth", "mail", "rcpt", "data", "bdat", "content", "rset")
        return {phase: self._hook(kind, phase) for phase in phases}

    def _hook(self, kind, phase):
        dice = random.Random(self.dice.random())

        def hook(moment):
            if not self.rough or dice.random() >= FAULTY:
                return None
            self.bad[phase] += 1
            answer = dice.choice([*ANYWHERE, *AT.get(phase, ()) * 3])
            if not answer.reads:
                self.deaf.add((kind, f"session {moment.session}"))
            return answer

        return hook


@contextlib.asynccontextmanager
async def servers(weather):
    async with contextlib.AsyncExitStack() as things:
        yield {
            kind: await things.enter_async_context(
                SinkServer(hooks=weather.hooks(kind), keywords=keywords, login="app", password=PASSWORD)
            )
            for kind, keywords in KINDS.items()
        }


class Run:
    """One random run.

    Attributes:
        posted: what was acknowledged: recipients by the message's key.
    """

    def __init__(self, office, sinks, weather, dice):
        self.office, self.sinks, self.weather, self.dice = office, sinks, weather, dice
        self.posted, self.over = {}, False
        self.connections = {}
        self.unexplained, self.oldest_lease = [], timedelta()

    async def connect(self):
        for kind, sink in self.sinks.items():
            limits = {"limits": {"max_sessions": 6, "max_recipients": 2}} if kind == "crowded" else {}
            values = {
                "name": kind,
                "sender_email": f"{kind}@example.org",
                "login": "app",
                "password": PASSWORD,
            }
            self.connections[kind] = await self.office.connect(sink, **values | limits)

    async def posting(self):
        while not self.over:
            kind = self.dice.choice(list(self.sinks))
            number = len(self.posted)
            recipients = [f"{number}.{n}@example.com" for n in range(self.dice.choice((1, 1, 1, 2, 4)))]
            text = "Zoë et les autres\r\n.\r\n" * self.dice.choice((1, 1, 1, 10, 100, 15_000))
            message = await self.office.post(
                *recipients,
                sender=f"{kind}@example.org",
                text=text,
                connection=kind,
                on_doubt=self.dice.choice(("retry", "hold")),
            )
            self.posted[message.pk] = recipients
            await asyncio.sleep(self.dice.uniform(0, 0.1))

    async def meddling(self):
        """People: they unlock what is locked, and switch a connection off and on."""
        while not self.over:
            await asyncio.sleep(self.dice.uniform(0.5, 1.5))
            await self.unlock()
            if self.dice.random() < 0.3:
                uid = str(self.dice.choice(list(self.connections.values())).uid)
                for switch in (connections.deactivate, connections.activate):
                    await self.office.ask(switch, uid, "test", self.office.clock())
                    await asyncio.sleep(self.dice.uniform(0, 0.5))

    async def unlock(self):
        """By a verification that succeeded, as people do."""

        def act():
            for one in Connection.objects.filter(health="locked"):
                verifications.keep(one.fingerprint, one, verifications.Record(ok=True), now)

        now = self.office.clock()
        await self.office.ask(act)

    async def watching(self):
        while not self.over:
            await asyncio.sleep(0.3)
            await self.office.ask(self._look)

    def _look(self):
        now = self.office.clock()
        for lane in Lane.objects.exclude(holder=""):
            self.oldest_lease = max(self.oldest_lease, now - lane.renewed_at)
        waiting = list(
            Message.objects.filter(delivery__state__in=("queued", "held", "in_doubt"))
            .distinct()
            .order_by("?")[:3]
        )
        for message in waiting:
            told = outlook.of_deliveries(messages.deliveries_of(message), now)
            with translation.override("en"):
                texts = [outlook_wording.delivery_text(one) for one in told]
            self.unexplained += [one for one, text in zip(told, texts, strict=True) if len(text) < 10]

    @contextlib.asynccontextmanager
    async def life(self):
        """Posting, meddling and watching go on meanwhile, and may not fail."""
        async with asyncio.TaskGroup() as group:
            for job in (self.posting(), self.meddling(), self.watching()):
                group.create_task(job)
            yield
            self.over = True

    async def rest(self):
        """Wait until nothing happens any more without a person; what is left in doubt is theirs."""
        self.weather.rough = False
        for connection in self.connections.values():
            await self.office.ask(connections.activate, str(connection.uid), "test", self.office.clock())
        try:
            async with asyncio.timeout(CALM):
                while await self.office.ask(_waiting().exists):
                    await self.unlock()
                    await asyncio.sleep(0.2)
        except TimeoutError:
            left = await self.office.ask(lambda: list(_waiting().values(*_TOLD)[:5]))
            lanes = await self.office.ask(
                lambda: list(Connection.objects.values("name", "health", "health_until"))
            )
            raise AssertionError(f"still waiting: {left}, {lanes}") from None


_TOLD = ("id", "connection_id", "state", "next_attempt_at", "counted", "doubts", "orphaned", "trouble")


def _waiting():
    """What will move without a person."""
    moving = Delivery.objects.filter(state__in=("queued", "claimed", "held"))
    return moving | Delivery.objects.filter(state="in_doubt", next_attempt_at__isnull=False)


@pytest.mark.timeout(SECONDS + 2 * CALM + 60)
async def test_u35_whatever_servers_do_the_ledger_tells_the_truth(office, settings):
    seed = int(os.environ.get("RANDOM_RUN_SEED") or random.SystemRandom().randrange(2**32))
    print(f"RANDOM_RUN_SEED={seed}")  # noqa: T201  shown when it fails
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, doubt_delay=1.0)
    office.schedule, office.backoff = SCHEDULE, Backoff(first=0.2, longest=0.8)
    office.timeouts = replace(Timeouts().at_most(1.0), quit=0.2)
    dice = random.Random(seed)
    weather = Weather(dice)
    async with servers(weather) as sinks:
        run = Run(office, sinks, weather, dice)
        await run.connect()
        async with run.life():
            for _ in range(3):  # couriers come and go, in order
                async with office.courier():
                    await asyncio.sleep(SECONDS / 3)
        async with office.courier():
            await run.rest()
        fates = await office.ask(_fates)
        told = {
            "messages": len(run.posted),
            "bad": dict(weather.bad),
            "states": Counter(one.state for one in fates),
        }
        print(told)  # noqa: T201
        await office.ask(judge, run, fates)
        blamed = [(kind, *fault.split(": ", 1)) for kind, sink in sinks.items() for fault in sink.faults]
        assert [fault for fault in blamed if fault[:2] not in weather.deaf] == []


def _fates():
    return list(Delivery.objects.select_related("message"))


def judge(run, fates):
    """The invariants, on the ledger and by the servers' own account."""
    stored = defaultdict(set)
    for delivery in fates:
        stored[delivery.message_id].add(delivery.recipient)
    assert {key: set(recipients) for key, recipients in run.posted.items()} == stored
    taken = Counter(
        recipient for sink in run.sinks.values() for one in sink.accepted for recipient in one.recipients
    )
    assert taken.keys() <= {delivery.recipient for delivery in fates}
    for delivery in fates:
        judge_one(delivery, taken[delivery.recipient])
    assert run.unexplained == []
    assert timedelta() < run.oldest_lease < 2 * leases.LOST_AFTER
    judge_times()


def judge_one(delivery, taken):
    assert delivery.state in {"accepted", "refused", "in_doubt"}, vars(delivery)
    if taken:
        assert delivery.state in {"accepted", "in_doubt"}, vars(delivery)
    if delivery.state == "accepted":
        assert taken >= 1, vars(delivery)
    # Only a recorded doubt explains another copy.
    assert taken <= delivery.doubts + (delivery.state == "accepted"), vars(delivery)
    if delivery.message.on_doubt == "hold":
        assert taken <= 1, vars(delivery)
    delays = [nominal_delay(SCHEDULE, counted) for counted in range(1, delivery.counted + 1)]
    assert delivery.spent == pytest.approx(sum(delays)), vars(delivery)


def judge_times():
    """No attempt began before the time that the one before it was given."""
    began = dict(Attempt.objects.values_list("uid", "started_at"))
    not_before = {}
    for event in Event.objects.exclude(attempt=None).order_by("delivery_id", "id"):
        earliest = not_before.pop(event.delivery_id, None)
        if earliest is not None and event.attempt in began:
            assert began[event.attempt] >= earliest, vars(event)
        if event.detail.get("next"):
            not_before[event.delivery_id] = datetime.fromisoformat(event.detail["next"])
