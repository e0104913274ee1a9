"""Servers that announce what they do not do: the courier steps down, and whoever comes after it knows.

In each, the server announces PIPELINING and CHUNKING. Everybody gets one copy, and nobody is blamed.
"""

from __future__ import annotations

import asyncio

import pytest
from django.test import Client
from upstream_fault import KEYWORDS, OFFICE, everybody

from courier.chores_due import all_due
from scripted.sink import DROP, Answer, SinkServer
from vaguemestre.ledger import connections
from vaguemestre.ledger.models import Lane, User

pytestmark = pytest.mark.any_database

UNKNOWN = Answer("502 5.5.1 not implemented", reads=False)  # the content is heard as commands then
OUT_OF_ORDER = Answer("503 5.5.1 out of order")
GROUPED = Answer("503 5.5.1 one at a time")

AT_ONCE = "Windows of several messages at once, where the server offers CHUNKING"
BEHIND = "One message right behind the other, where the server offers PIPELINING"
ONE = "One command, one answer"


class Stubborn:
    """A server that does not take BDAT, or no commands in groups either, and the connection to it.

    Attributes:
        sink: the server; `grouped` counts its RCPTs behind which more had been written already.
        bdat, group: what it answers to the one and to the other; None takes it.
    """

    def __init__(self, office, *, bdat=None, group=None):
        self.office, self.bdat, self.group, self.grouped = office, bdat, group, 0
        self.sink = SinkServer(
            keywords=KEYWORDS["bdat"], hooks={"bdat": lambda _: self.bdat, "rcpt": self._rcpt}
        )

    def _rcpt(self, _):
        ahead = any(plug.ahead for plug in self.sink._plugs)
        self.grouped += ahead
        return self.group if ahead else None

    async def carried(self, *names, tries=1):
        """Have a courier of its own carry mail for these, letting time pass between its tries."""
        posted = [await self.office.post(f"{name}@example.com", sender=OFFICE) for name in names]
        async with self.office.courier() as worker:
            for _ in range(tries - 1):
                await self.office.until_true(lambda: all(map(_tried, posted)))
                self.office.clock.advance(minutes=11)
                all_due(worker, but={"sweep"})
                worker.engine.wake()
            for message in posted:
                await self.office.until(message, "accepted")

    async def kept(self):
        """What the ledger keeps of its manner."""
        (found,) = await self.office.ask(lambda: list(Lane.objects.values_list("manner", "manner_why")))
        return found

    async def health(self, connection):
        """Of the connection, which is blamed for nothing."""
        return (await self.office.ask(connections.find, str(connection.uid))).health

    async def page(self, connection):
        """The connection's page, in English."""
        return await self.office.ask(_page, str(connection.uid))


def _tried(message):
    return message.attempt_set.exists() and not message.delivery_set.filter(state="claimed").exists()


def _page(uid):
    person, _ = User.objects.get_or_create(email="claire@example.org", language="en")
    client = Client()
    client.force_login(person)
    return client.get(f"/connections/{uid}/").content.decode()


def verbs(sink, behind=0):
    """What was said in the sessions behind that one."""
    return [line.partition(" ")[0] for number, line in sink.commands if number > behind]


@pytest.mark.parametrize("answer", [UNKNOWN, OUT_OF_ORDER], ids=["502", "503"])
async def test_a_server_that_refuses_bdat_gets_data_from_this_courier_and_from_the_next(office, answer):
    server = Stubborn(office, bdat=answer)
    async with server.sink as sink:
        connection = await office.connect(sink, sender_email=OFFICE, limits={"max_sessions": 1})
        await server.carried("r0", "r1", "r2", "r3")
        assert await server.kept() == ("data", "bdat_refused")
        page = await server.page(connection)
        assert BEHIND in page
        assert "The server announces CHUNKING, and refuses it." in page
        assert verbs(sink).count("BDAT") == 1
        before = sink.sessions
        await server.carried("r4", "r5")
        assert "DATA" in verbs(sink, before)
        assert "BDAT" not in verbs(sink, before)
        # It is asked again after a week: servers are mended, too.
        server.bdat = None
        office.clock.advance(days=8)
        await server.carried("r6")
    assert everybody(sink) == [f"r{number}@example.com" for number in range(7)]
    assert [taken.manner for taken in sink.accepted] == ["DATA"] * 6 + ["BDAT"]
    assert await server.health(connection) == "ready"


async def test_a_courier_that_lives_on_asks_for_bdat_again_after_a_week(office):
    server = Stubborn(office, bdat=OUT_OF_ORDER)
    async with server.sink as sink:
        await office.connect(sink, sender_email=OFFICE)
        async with office.courier() as worker:
            for number, days in enumerate([0, 6, 2]):
                office.clock.advance(days=days)
                worker.engine.wake()
                # Two, the second on what the first taught, where it taught something.
                for name in ("a", "b"):
                    message = await office.post(f"r{number}{name}@example.com", sender=OFFICE)
                    await office.until(message, "accepted")
                server.bdat = None
    assert [taken.manner for taken in sink.accepted] == ["DATA"] * 4 + ["BDAT"] * 2
    assert verbs(sink).count("BDAT") == 3


async def test_a_server_whose_sessions_end_at_bdat_gets_data_from_the_second_on(office):
    """Each of the two that broke had content on the wire: in doubt, and tried again ten minutes later."""
    server = Stubborn(office, bdat=DROP)
    async with server.sink as sink:
        connection = await office.connect(sink, sender_email=OFFICE, limits={"max_sessions": 1})
        await server.carried("r0", "r1", "r2", "r3", tries=2)
        assert await server.kept() == ("data", "bdat_broke")
        page = await server.page(connection)
        assert BEHIND in page
        assert "Sessions with CHUNKING broke, one after the other." in page
        assert verbs(sink).count("BDAT") == 2
        before = sink.sessions
        await server.carried("r4")
        assert "BDAT" not in verbs(sink, before)
    assert everybody(sink) == [f"r{number}@example.com" for number in range(5)]
    assert await server.health(connection) == "ready"


@pytest.mark.parametrize(
    ("group", "why", "said"),
    [
        (GROUPED, "data_refused", "The server announces PIPELINING, and refuses grouped commands."),
        (DROP, "data_broke", "Sessions with PIPELINING broke, one after the other."),
    ],
)
async def test_a_server_that_takes_no_groups_either_gets_one_command_at_a_time(office, group, why, said):
    server = Stubborn(office, bdat=OUT_OF_ORDER, group=group)
    async with server.sink as sink:
        connection = await office.connect(sink, sender_email=OFFICE, limits={"max_sessions": 1})
        await server.carried("r0", "r1", "r2", "r3", tries=2)
        assert await server.kept() == ("single", why)
        page = await server.page(connection)
        assert ONE in page
        assert said in page
        before, grouped = sink.sessions, server.grouped
        assert grouped >= 1
        await server.carried("r4", "r5")
        assert "BDAT" not in verbs(sink, before)
        assert server.grouped == grouped
    assert everybody(sink) == [f"r{number}@example.com" for number in range(6)]
    assert await server.health(connection) == "ready"


async def test_a_session_of_other_settings_teaches_the_new_ones_nothing(office):
    """The connection moved to another server while the first one was about to refuse BDAT."""
    refuses = asyncio.Event()
    old = SinkServer(
        keywords=KEYWORDS["bdat"],
        hooks={"bdat": lambda _: Answer("502 5.5.1 not implemented", after=refuses)},
    )
    async with old, SinkServer(keywords=KEYWORDS["bdat"]) as new:
        connection = await office.connect(old, limits={"max_sessions": 1})
        message = await office.post()
        async with office.courier() as worker:
            async with asyncio.timeout(8):
                while not any(line.startswith("BDAT") for _, line in old.commands):
                    await asyncio.sleep(0.01)
            moved = {"port": new.port}
            await office.ask(connections.edit, str(connection.uid), moved, "test", office.clock())
            worker.engine.wake()
            async with asyncio.timeout(8):
                while worker._lanes[connection.pk].facts.version == connection.version:
                    await asyncio.sleep(0.01)
            refuses.set()
            await office.until(message, "accepted")
        kept = await office.ask(lambda: list(Lane.objects.values_list("manner", "manner_why")))
    assert [one.manner for one in new.accepted] == ["BDAT"]
    assert kept == [("bdat", "")]
