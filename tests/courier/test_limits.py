"""`per_minute` and `per_day` are exact, whatever courier works: one is stopped, the next begins at once."""

from __future__ import annotations

import pytest
from upstream_fault import KEYWORDS, OFFICE, OTHER

from scripted.sink import DROP, Answer, SinkServer

MINUTE, DAY = 60.0, 86_400.0


class Watched:
    """A server that notes when it saw how many recipients, by the clock of the test.

    Attributes:
        seen: for each content, the seconds since the beginning and the number of recipients.
        stops: called once at the content of that number, while its answer is still to come.
    """

    def __init__(self, office):
        self.office, self.seen, self.stops = office, [], {}
        self.sink = SinkServer(hooks={"content": self._content})

    def _content(self, moment):
        self.seen.append((self.office.clock.offset.total_seconds(), len(moment.recipients)))
        stop = self.stops.pop(len(self.seen), None)
        if stop is None:
            return None
        stop()
        return Answer("250 2.0.0 taken", delay=0.05)

    def most(self, term):
        """The most messages and recipients in any window of that many seconds."""
        windows = [[count for at, count in self.seen if end - term < at <= end] for end, _ in self.seen]
        return max(map(len, windows)), max(map(sum, windows))


async def stopped(office, server, content):
    """A courier that is told to end while the server thinks about that content; another one may be on its way."""
    async with office.courier() as worker:
        server.stops[content] = worker.stop
        await office.until_true(worker._stopping.is_set)


async def exhausted(office, quiet):
    """A courier that takes up all that it may: another connection's message shows that it came to that."""
    beside = await office.post(f"beside{len(quiet.accepted)}@example.com", sender=OTHER)
    async with office.courier() as worker:
        await office.until(beside, "accepted")
        await office.until_true(lambda: not any(lane.busy for lane in worker._lanes.values()))


@pytest.fixture
async def server(office):
    watched = Watched(office)
    async with watched.sink:
        yield watched


@pytest.fixture
async def quiet(office):
    async with SinkServer() as sink:
        yield sink


async def limited(office, server, quiet, **limits):
    await office.connect(server.sink, sender_email=OFFICE, limits={"max_sessions": 1} | limits)
    await office.connect(quiet, name="Other", sender_email=OTHER)


async def test_a_minutes_limit_holds_across_couriers_that_stop_amid_it(office, server, quiet):
    await limited(office, server, quiet, per_minute=4)
    posted = [await office.post(f"r{number}@example.com", sender=OFFICE) for number in range(10)]
    await stopped(office, server, content=2)
    assert 2 <= len(server.seen) <= 4
    for seconds, total in [(0, 4), (20, 4), (25, 4), (16, 8), (25, 8), (36, 10)]:
        office.clock.advance(seconds=seconds)
        await exhausted(office, quiet)
        assert len(server.seen) == total, (seconds, server.seen)
    assert server.most(MINUTE) == (4, 4)
    for message in posted:
        await office.until(message, "accepted")


async def test_a_days_limit_counts_recipients_and_holds_across_couriers_that_stop_amid_it(
    office, server, quiet
):
    await limited(office, server, quiet, per_day=7)
    for number in range(6):
        names = [f"r{number}a@example.com", f"r{number}b@example.com"]
        await office.post(*names, sender=OFFICE)
    await stopped(office, server, content=1)
    assert 2 <= sum(count for _, count in server.seen) <= 7
    for hours, total in [(0, 7), (8, 7), (15.9, 7), (0.2, 12), (23, 12)]:
        office.clock.advance(hours=hours)
        await exhausted(office, quiet)
        assert sum(count for _, count in server.seen) == total, (hours, server.seen)
    assert server.most(DAY)[1] == 7


async def test_what_was_in_flight_on_a_session_that_broke_counts_too(office, server, quiet):
    """Four messages of a window were taken; the answer to the first was waited for, and of none came any."""

    def mute(moment):
        """It takes everything, and no answer comes to its end."""
        return Answer("250 ", end="") if moment.session == 1 and moment.transaction > 3 else None

    server.sink.keywords = KEYWORDS["bdat"]
    server.sink.hooks = dict.fromkeys(("rset", "mail", "rcpt"), mute) | {
        "content": lambda moment: server._content(moment) or mute(moment),
        "ehlo": lambda moment: mute(moment) and DROP,
    }
    await limited(office, server, quiet, per_minute=7)
    posted = [await office.post(f"r{number}@example.com", sender=OFFICE) for number in range(12)]
    for _ in range(2):
        await exhausted(office, quiet)
    assert server.most(MINUTE) == (7, 7)
    for message in posted[3:7]:
        await office.until(message, "in_doubt")
