"""The threads in which the listener and the courier call the ledger."""

import asyncio
import threading
import time

import pytest
from django.db import connection, connections

from vaguemestre.ledger.models import Instance
from vaguemestre.ledger.threads import LedgerThreads


@pytest.fixture
def threads(ledger):
    threads = LedgerThreads(1)
    yield threads
    threads.shutdown()


def test_a_call_runs_in_a_thread_of_the_ledger_and_answers(threads):
    def where(number, *, word):
        return threading.current_thread().name, number, word, Instance.objects.count()

    name, *rest = asyncio.run(threads.run(where, 7, word="x"))
    assert name.startswith("ledger")
    assert rest == [7, "x", 1]


def test_what_the_call_raises_is_raised_and_the_thread_goes_on(threads):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(threads.run(lambda: 1 // 0))
    assert asyncio.run(threads.run(lambda: 2)) == 2


def test_one_thread_keeps_the_order_of_the_calls(threads):
    done = []

    async def ask():
        await asyncio.gather(*(threads.run(done.append, number) for number in range(100)))

    asyncio.run(ask())
    assert done == list(range(100))


def test_the_loop_goes_on_while_a_call_takes_its_time(threads):
    async def ask():
        call = asyncio.ensure_future(threads.run(time.sleep, 0.3))
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - begun < 0.2
        await call

    asyncio.run(ask())


def test_a_call_that_is_cancelled_before_its_turn_never_starts(threads):
    done = []

    async def ask():
        first = asyncio.ensure_future(threads.run(time.sleep, 0.2))
        second = asyncio.ensure_future(threads.run(done.append, "second"))
        await asyncio.sleep(0.05)
        second.cancel()
        await first
        await threads.run(done.append, "third")

    asyncio.run(ask())
    assert done == ["third"]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_connection_that_the_server_ended_is_replaced_for_the_next_call(threads):
    def backend():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    first = asyncio.run(threads.run(backend))
    assert asyncio.run(threads.run(backend)) == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert asyncio.run(threads.run(backend)) != first


def test_shutdown_closes_the_connection_of_every_thread(ledger):
    threads = LedgerThreads(3)
    opened = []
    barrier = threading.Barrier(3)

    def open_one():
        barrier.wait(5)
        connection.ensure_connection()
        connection.close_at = None  # as with CONN_MAX_AGE=None
        opened.append(connections["default"])

    async def ask():
        await asyncio.gather(*(threads.run(open_one) for _ in range(3)))

    asyncio.run(ask())
    assert len({id(one) for one in opened}) == 3
    assert all(one.connection is not None for one in opened)
    threads.shutdown()
    assert all(one.connection is None for one in opened)
    with pytest.raises(RuntimeError):
        asyncio.run(threads.run(int))
