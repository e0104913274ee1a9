"""The bell between who commits work and the couriers: heard after the commit, by whoever listens, and never a hindrance."""

import asyncio
import contextlib
import gc
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from django.db import connection as database
from django.db import connections as databases
from django.db import transaction

from ledger.kit import on_postgresql, sql
from vaguemestre.ledger import wake

pytestmark = pytest.mark.django_db(transaction=True)

only_on_sqlite = pytest.mark.skipif(on_postgresql(), reason="PostgreSQL has NOTIFY")


class Listener:
    """Counts what it hears; the first is that it listens."""

    def __init__(self):
        self.heard = 0
        self._rung = asyncio.Event()

    def __call__(self):
        self.heard += 1
        self._rung.set()

    async def next(self, within=5.0):
        async with asyncio.timeout(within):
            await self._rung.wait()
        self._rung.clear()


@contextlib.asynccontextmanager
async def listening():
    heard = Listener()
    task = asyncio.create_task(wake.listen(heard))
    await heard.next()
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ring_within_a_transaction(before_the_end=lambda: None):
    try:
        with transaction.atomic():
            wake.ring()
            before_the_end()
    finally:
        databases.close_all()


def ring():
    try:
        wake.ring()
    finally:
        databases.close_all()


async def test_a_ring_is_heard_by_who_listens():
    async with listening() as heard:
        await asyncio.to_thread(ring)
        await heard.next()
        assert heard.heard == 2


@only_on_sqlite
async def test_rings_that_came_together_are_heard_as_one():
    async with listening() as heard:
        for _ in range(20):
            wake._send(database.settings_dict["NAME"])  # on the loop's thread, which hears nothing meanwhile
        await heard.next()
        await asyncio.sleep(0.1)
        assert heard.heard == 2


async def test_a_ring_within_a_transaction_is_heard_after_its_commit():
    async with listening() as heard:
        found = []

        def wait_for_a_ring():
            time.sleep(0.2)
            found.append(heard.heard)

        await asyncio.to_thread(ring_within_a_transaction, wait_for_a_ring)
        await heard.next()
        assert (found, heard.heard) == ([1], 2)


async def test_a_transaction_that_is_undone_rings_nobody():
    def undone():
        with contextlib.suppress(ZeroDivisionError):
            ring_within_a_transaction(lambda: 1 / 0)

    async with listening() as heard:
        await asyncio.to_thread(undone)
        await asyncio.sleep(0.2)
        assert heard.heard == 1


def test_a_ring_that_nobody_hears_is_nothing():
    began = time.monotonic()
    wake.ring()
    with transaction.atomic():
        wake.ring()
    assert time.monotonic() - began < 1


async def test_ten_thousand_rings_that_nobody_answers_never_wait():
    def many():
        try:
            started = time.monotonic()
            for _ in range(10_000):
                wake.ring()
            return time.monotonic() - started
        finally:
            databases.close_all()

    async with listening():
        # The loop is kept from answering.
        took = await asyncio.gather(asyncio.to_thread(many), asyncio.sleep(0))
        assert took[0] < (30 if on_postgresql() else 5)


@pytest.mark.skipif(not on_postgresql(), reason="on SQLite one courier works")
async def test_every_courier_hears_a_notification():
    async with listening() as one, listening() as other:
        await asyncio.to_thread(ring)
        await asyncio.gather(one.next(), other.next())
        assert (one.heard, other.heard) == (2, 2)


@pytest.mark.skipif(not on_postgresql(), reason="about PostgreSQL's line")
async def test_a_line_that_breaks_is_told():
    heard = Listener()
    task = asyncio.create_task(wake.listen(heard))
    await heard.next()

    def break_lines():
        try:
            # Not the line of another test's courier.
            ours = "datname = current_database() AND starts_with(query, 'LISTEN')"
            sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        finally:
            databases.close_all()

    await asyncio.to_thread(break_lines)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(task, 5)


@only_on_sqlite
def test_threads_that_ring_first_at_the_same_moment_leave_one_socket(tmp_path):
    def sockets():
        return sum(
            "socket:" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
        )

    def ring(name, together):
        together.wait(5)
        wake._send(name)

    before = sockets()
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        together = threading.Barrier(8)
        name = str(folder / "ledger.sqlite3")
        threads = [threading.Thread(target=ring, args=(name, together)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(wake._ropes) <= number + 2
        if name in wake._ropes:
            wake._ropes.pop(name).let_go()
    gc.collect()
    assert sockets() == before


@only_on_sqlite
async def test_the_last_that_listens_hears_the_ring():
    """A courier that drains does not take the bell from the one that follows it."""
    async with listening() as last:
        async with listening():
            pass
        last.heard = 0
    async with listening() as last:
        await asyncio.to_thread(ring)
        await last.next()
        assert last.heard == 2


@only_on_sqlite
async def test_nobody_else_may_ring():
    async with listening():
        assert stat.S_IMODE(socket_path().stat().st_mode) == 0o600


@only_on_sqlite
async def test_a_socket_that_a_dead_courier_left_is_taken_over():
    leave_a_socket()
    await asyncio.to_thread(ring)
    async with listening() as heard:
        await asyncio.to_thread(ring)
        await heard.next()
        assert heard.heard == 2


@only_on_sqlite
async def test_a_folder_deeper_than_an_address_holds_is_no_hindrance(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    assert len(str(deep)) > 200
    monkeypatch.setattr(wake, "_database", lambda: str(deep / "vaguemestre.sqlite3"))
    async with listening() as heard:
        await asyncio.to_thread(ring)
        await heard.next()


@only_on_sqlite
async def test_a_folder_that_is_gone_is_told_to_who_listens_and_not_to_who_rings(tmp_path, monkeypatch):
    monkeypatch.setattr(wake, "_database", lambda: str(tmp_path / "gone" / "vaguemestre.sqlite3"))
    await asyncio.to_thread(ring)
    with pytest.raises(OSError, match="gone"):
        await wake.listen(lambda: None)


def socket_path():
    return Path(database.settings_dict["NAME"] + wake.SOCKET_SUFFIX)


def leave_a_socket():
    socket_path().unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(socket_path()))
