"""D6: the server answered 250 and the database was gone. What is known outlives the courier, on its disk."""

import asyncio

from django.db import OperationalError

from vaguemestre.courier.outcomes import Outcomes
from vaguemestre.ledger import queue
from vaguemestre.ledger.models import Event


class Away:
    """The database takes no results any more from the moment that it is told so."""

    def __init__(self, worker):
        self.since = False
        self.refused = 0
        self._run = worker.engine.threads.run
        worker.engine.threads.run = self._ask

    async def _ask(self, function, *arguments, **named):
        if self.since and function is queue.record_all:
            self.refused += 1
            raise OperationalError("the server closed the connection unexpectedly")
        return await self._run(function, *arguments, **named)


def kept(folder):
    """What is on the disk, in any file of the folder."""
    return b"".join(path.read_bytes().strip(b"\0") for path in folder.iterdir())


async def until(question, within=8.0):
    async with asyncio.timeout(within):
        while not question():
            await asyncio.sleep(0.01)


async def test_d6_what_a_server_accepted_outlives_a_courier_that_could_not_record_it(office, sink, tmp_path):
    await office.connect(sink)
    outcomes = Outcomes(tmp_path)
    async with office.courier(outcomes=outcomes) as worker:
        away = Away(worker)

        def gone(moment):
            away.since = True

        sink.hooks = {"content": gone}
        message = await office.post()
        await until(lambda: away.refused > 0 and kept(tmp_path))
        assert (await office.delivery(message)).state == "claimed"
    # It stopped without having recorded it: what it tried is broken off, its file is as a dead process leaves it.
    for writing in worker.engine.recorder._writers.values():
        writing.cancel()
    outcomes._file.unlock()

    sink.hooks = {}
    async with office.courier(outcomes=Outcomes(tmp_path)):
        found = await office.until(message, "accepted")
    assert len(sink.accepted) == 1
    delivery = found["to@example.com"]
    assert (delivery.doubts, delivery.last_code) == (0, 250)
    codes = [event.detail["code"] for event in await office.ask(lambda: list(Event.objects.order_by("pk")))]
    assert codes == ["accepted_here", "evidence"]
    assert not kept(tmp_path)


async def test_d6_nothing_more_is_sent_while_results_cannot_be_recorded(office, sink, tmp_path):
    await office.connect(sink)
    async with office.courier(outcomes=Outcomes(tmp_path)) as worker:
        away = Away(worker)

        def gone(moment):
            away.since = True

        sink.hooks = {"content": gone}
        first = await office.post()
        await until(lambda: away.refused > 1)
        second = await office.post()
        await asyncio.sleep(0.5)
        assert len(sink.accepted) == 1
        sink.hooks = {}
        away.since = False
        await office.until(first, "accepted")
        await office.until(second, "accepted")
    assert len(sink.accepted) == 2
