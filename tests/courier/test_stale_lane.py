"""A lane that cannot trust what it holds is given up and taken again, so that nothing stays claimed for ever."""

from scripted.sink import Answer
from vaguemestre.ledger import connections, messages, queue


async def test_a_stale_lane_is_taken_again_with_a_new_epoch_and_works_on(office, sink):
    await office.connect(sink)
    async with office.courier() as worker:
        await office.until(await office.post(), "accepted")
        (lane,) = worker._lanes.values()
        lane.stale = True
        message = await office.post()
        await office.until(message, "accepted")
        (again,) = worker._lanes.values()
        assert again.lease.epoch == lane.lease.epoch + 1
    assert len(sink.accepted) == 2


async def test_l08_a_record_that_was_committed_unseen_ends_the_attempt_and_is_kept_once(office, sink):
    connection = await office.connect(sink)

    async with office.courier() as worker:
        settled, settle = [], queue.settle

        def unseen(*arguments):
            settle(*arguments)
            settle(*arguments)  # what a courier does that never saw the first commit

        sink.hooks = {"content": lambda moment: settled.append(moment) or None}
        run = worker.engine.threads.run

        async def twice(function, *arguments):
            return await run(unseen if function is settle else function, *arguments)

        worker.engine.threads.run = twice
        first = await office.post()
        await office.until_true(lambda: settled)
        await office.until_true(lambda: not any(lane.busy for lane in worker._lanes.values()))
        worker.engine.threads.run = run
        await office.until(first, "accepted", "in_doubt")
        second = await office.post()
        await office.until(second, "accepted")
    assert len(sink.accepted) == 2
    assert (await office.ask(lambda: connections.find(str(connection.uid)))).active


async def test_a_stale_lane_of_a_connection_switched_off_leaves_nothing_claimed(office, sink):
    connection = await office.connect(sink, limits={"max_sessions": 1})
    sink.hooks = {"greeting": lambda moment: Answer("220 hi", delay=0.5)}
    async with office.courier() as worker:
        posted = [await office.post(f"r{number}@example.com") for number in range(5)]
        await office.until_true(lambda: messages.depths().get("claimed", 0) >= 1 and bool(worker._lanes))
        (lane,) = worker._lanes.values()
        lane.stale = True
        await office.ask(connections.deactivate, str(connection.uid), "test", office.clock())
        for message in posted:
            await office.until(message, "held")
    assert sink.accepted == []
