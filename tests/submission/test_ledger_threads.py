"""The threads in which the listener and the courier call the ledger."""

import asyncio
import fcntl
import sqlite3
import threading
import time
import weakref
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError, connection, connections

from ledger.kit import on_postgresql
from submission.door import eventually
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.models import Instance
from vaguemestre.ledger.sqlite.base import LOCK_SUFFIX
from vaguemestre.ledger.storing import problem_of
from vaguemestre.ledger.threads import WAIT, LedgerThreads

on_sqlite = pytest.mark.skipif(on_postgresql(), reason="PostgreSQL is never called on the loop's thread")


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


def test_who_does_not_await_a_call_is_told_on_the_loop_what_came_of_it(threads):
    async def ask():
        told = asyncio.Queue()
        here = threading.current_thread()

        def tell(result, error):
            told.put_nowait((result, type(error), threading.current_thread() is here))

        threads.call(Instance.objects.count, tell)
        threads.call(lambda: 1 // 0, tell)
        assert len(asyncio.all_tasks()) == 1
        return [await told.get() for _ in range(2)]

    assert asyncio.run(ask()) == [(1, type(None), True), (None, ZeroDivisionError, True)]


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


def test_a_call_that_is_cancelled_in_its_turn_is_told_to_nobody(threads):
    faults, begun, go = [], threading.Event(), threading.Event()

    async def ask():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        call = asyncio.ensure_future(threads.run(lambda: (begun.set(), go.wait(5))))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.sleep(0)
        go.set()
        await threads.run(int)

    asyncio.run(ask())
    assert faults == []


def test_a_call_whose_loop_is_over_when_it_ends_harms_no_other(threads):
    done = []

    async def leave():
        await asyncio.wait_for(threads.run(lambda: (time.sleep(0.1), done.append("first"))), 0.02)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert asyncio.run(threads.run(lambda: [*done])) == ["first"]


def test_a_thread_is_started_only_where_all_others_are_at_work(ledger):
    threads = LedgerThreads(3)

    async def ask(together):
        def whose():
            time.sleep(0.05)
            return threading.current_thread().name

        return {await one for one in [asyncio.ensure_future(threads.run(whose)) for _ in range(together)]}

    assert [asyncio.run(ask(1)) for _ in range(4)] == [{"ledger_0"}] * 4
    assert asyncio.run(ask(9)) == {"ledger_0", "ledger_1", "ledger_2"}
    threads.shutdown()


def test_where_a_thread_cannot_start_the_next_call_tries_again(threads, monkeypatch):
    with monkeypatch.context() as there:
        there.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            asyncio.run(threads.run(len, "no"))
    assert asyncio.run(asyncio.wait_for(threads.run(len, "yes"), 5)) == 3


def test_where_no_further_thread_can_start_a_call_waits_for_one_that_is_there(monkeypatch, ledger):
    threads = LedgerThreads(2)

    async def ask():
        assert await threads.run(len, "one") == 3
        busy = asyncio.ensure_future(threads.run(time.sleep, 0.05))
        with monkeypatch.context() as there:
            there.setattr(threading.Thread, "start", no_more_threads)
            assert await asyncio.wait_for(threads.run(len, "more"), 5) == 4
        await busy

    asyncio.run(ask())
    threads.shutdown()


def no_more_threads(thread):
    raise RuntimeError("can't start new thread")


def test_nothing_is_kept_of_a_call_that_has_ended(threads):
    given = {1, 2}
    gone = weakref.ref(given)
    assert asyncio.run(threads.run(len, given)) == 2
    del given
    assert eventually(lambda: gone() is None)


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


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_a_connection_that_broke_in_a_call_is_replaced_for_the_next_one(threads):
    def end_it():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid(), 5000)")

    with pytest.raises(OperationalError):
        asyncio.run(threads.run(end_it))
    assert asyncio.run(threads.run(Instance.objects.count)) == 1


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


@pytest.fixture
def here(ledger):
    threads = LedgerThreads(1, here=True)
    yield threads
    threads.shutdown()


def bumped():
    """One transaction, and the thread that it ran in."""
    with writing():
        bump()
    return threading.current_thread().name


def epoch():
    return Instance.objects.values_list("routing_epoch", flat=True).get()


@on_sqlite
def test_what_is_brief_is_done_on_the_thread_of_the_loop(here):
    before = epoch()
    name = asyncio.run(here.briefly(bumped))
    assert name == threading.current_thread().name
    assert epoch() == before + 1


@on_sqlite
def test_where_somebody_writes_the_threads_wait_and_the_loop_goes_on(here):
    """D6: a loop that waited for the lock could tell no server anything."""
    before, ticks = epoch(), []

    async def ask(held):
        fcntl.flock(held, fcntl.LOCK_EX)
        call = asyncio.ensure_future(here.briefly(bumped))
        for _ in range(20):
            await asyncio.sleep(0.01)
            ticks.append(time.monotonic())
        assert not call.done()
        fcntl.flock(held, fcntl.LOCK_UN)
        return await call

    with Path(connection.settings_dict["NAME"] + LOCK_SUFFIX).open("w") as held:
        assert asyncio.run(ask(held)).startswith("ledger")
    assert ticks[-1] - ticks[0] < 2
    assert epoch() == before + 1  # once


@on_sqlite
def test_who_writes_but_a_moment_is_waited_for_without_a_thread(here):
    before = epoch()

    async def ask(held):
        fcntl.flock(held, fcntl.LOCK_EX)
        call = asyncio.ensure_future(here.briefly(bumped))
        await asyncio.sleep(0)
        assert not call.done()
        fcntl.flock(held, fcntl.LOCK_UN)
        return await call

    with Path(connection.settings_dict["NAME"] + LOCK_SUFFIX).open("w") as held:
        assert asyncio.run(ask(held)) == threading.current_thread().name
    assert epoch() == before + 1


@on_sqlite
def test_who_writes_without_the_lock_is_waited_for_by_the_threads_too(here):
    before = epoch()

    async def ask():
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as shell:
            shell.execute("BEGIN IMMEDIATE")
            call = asyncio.ensure_future(here.briefly(bumped))
            await asyncio.sleep(0.1)
            assert not call.done()
            shell.execute("COMMIT")
            return await call

    assert asyncio.run(ask()).startswith("ledger")
    assert epoch() == before + 1


@on_sqlite
@pytest.mark.parametrize("cancelled", [False, True])
def test_what_comes_while_the_threads_are_at_work_keeps_its_turn(here, cancelled):
    """Whether or not anybody still waits for what they do."""
    done = []

    async def ask():
        first = asyncio.ensure_future(here.run(lambda: (time.sleep(0.2), done.append("first"))))
        await asyncio.sleep(0.05)
        if cancelled:
            first.cancel()
        await here.briefly(done.append, "second")
        await asyncio.wait([first])
        assert first.cancelled() is cancelled

    asyncio.run(ask())
    assert done == ["first", "second"]


@on_sqlite
def test_behind_the_end_nothing_is_done_on_the_loop_either(ledger):
    threads = LedgerThreads(1, here=True)
    asyncio.run(threads.briefly(bumped))
    threads.shutdown()
    with pytest.raises(RuntimeError):
        asyncio.run(threads.briefly(bumped))


@on_sqlite
def test_a_slow_disk_is_waited_for_by_the_threads_until_it_is_quick_again(here):
    async def where():
        return await here.briefly(lambda: threading.current_thread().name)

    async def ask():
        await here.briefly(time.sleep, 20 * WAIT)  # as a commit that waits for the disk
        slow = [await where() for _ in range(3)]
        quick = [await where() for _ in range(30)]
        return slow, quick[-1]

    slow, at_last = asyncio.run(ask())
    assert all(name.startswith("ledger") for name in slow)
    assert at_last == threading.current_thread().name


@on_sqlite
def test_only_a_transaction_that_did_not_begin_is_begun_once_more(here):
    """What is busy behind a commit must not have the commit made twice."""
    before = epoch()

    def commits_and_then_meets_somebody():
        bumped()
        raise OperationalError("database is locked") from busy()

    with pytest.raises(OperationalError, match="locked"):
        asyncio.run(here.briefly(commits_and_then_meets_somebody))
    assert epoch() == before + 1


def busy():
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


@on_sqlite
def test_what_fails_on_the_loop_fails_as_it_does_in_a_thread_and_is_not_tried_twice(here):
    calls = []

    def full():
        calls.append(1)
        raise OperationalError("database or disk is full")

    before = epoch()
    with pytest.raises(OperationalError, match="full"):
        asyncio.run(here.briefly(full))
    assert len(calls) == 1
    assert epoch() == before


@on_sqlite
def test_the_loop_is_still_no_place_for_the_ledger_otherwise(here):
    async def ask():
        await here.briefly(epoch)
        epoch()

    with pytest.raises(SynchronousOnlyOperation):
        asyncio.run(ask())


@pytest.fixture
def one_connection(ledger, monkeypatch):
    """What connects from now on may do so once."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE alone LOGIN CONNECTION LIMIT 1 IN ROLE pg_read_all_data")
    monkeypatch.setitem(connections.settings["default"], "USER", "alone")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE alone")


@pytest.mark.skipif(not on_postgresql(), reason="SQLite counts no connections")
def test_one_connection_is_enough_where_the_server_has_no_more(one_connection):
    threads, together = LedgerThreads(4), threading.Barrier(4)

    def count():
        with suppress(threading.BrokenBarrierError):
            together.wait(timeout=0.2)  # so that each has a thread of its own
        return Instance.objects.count()

    async def ask():
        return await asyncio.gather(*(threads.run(count) for _ in range(8)))

    try:
        assert asyncio.run(threads.run(Instance.objects.count)) == 1  # the first thread has its connection
        assert asyncio.run(ask()) == [1] * 8
    finally:
        threads.shutdown()


@pytest.mark.skipif(not on_postgresql(), reason="SQLite counts no connections")
def test_where_there_is_none_at_all_the_call_fails_and_says_so(one_connection):
    threads, other = LedgerThreads(2), LedgerThreads(1)
    try:
        asyncio.run(other.run(Instance.objects.count))
        with pytest.raises(OperationalError, match="too many connections") as told:
            asyncio.run(threads.run(Instance.objects.count))
        assert problem_of(told.value) == "no_connection_left"
    finally:
        threads.shutdown()
        other.shutdown()


def test_a_thread_without_a_connection_leaves_no_call_behind_once_the_end_has_begun():
    threads, busy, ending = LedgerThreads(2), threading.Event(), threading.Event()
    told = []

    def refused():
        ending.wait(5)
        raise OperationalError("too many connections")

    async def ask():
        threads.call(partial(busy.wait, 5), lambda *_: None)
        threads.call(refused, lambda _, error: told.append(str(error)))
        end = threading.Thread(target=threads.shutdown)
        end.start()
        await asyncio.sleep(0.1)  # the end has begun
        ending.set()
        await asyncio.sleep(0.1)  # there is no connection
        busy.set()
        await asyncio.to_thread(end.join)
        await asyncio.sleep(0)

    asyncio.run(ask())
    assert told == ["too many connections"]
