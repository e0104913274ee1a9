"""L04 with real processes: a courier that sleeps beyond its lease finds its lanes taken, sends and writes nothing.

But for one thing: the reply to an end of data that went out before it slept is evidence, whoever holds the lane
now, and resolves that doubt if nothing else has (faults section 2). Such an attempt has no epoch (0).
"""

import contextlib
import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import time

import psycopg
import pytest

from scripted.sink import Answer, SinkServer
from system.databases import sqlite_first
from system.killing import Fate, judge
from system.processes import parent_of
from system.product import COMMAND, Product, until
from system.upstream import KINDS

EACH = 60  # messages for each server
LEASE = 15.0  # seconds
LARGE = 600_000  # characters: several chunks, which leave before the mark
SECOND = "second.example.org"

_CLAIMS = """
SELECT c.name, d.recipient, d.staged_at IS NOT NULL FROM ledger_delivery d
JOIN ledger_connection c ON c.id = d.connection_id WHERE d.state = 'claimed'
"""
_EPOCHS = (
    "SELECT c.name, l.epoch, l.holder FROM ledger_lane l JOIN ledger_connection c ON c.id = l.connection_id"
)
_WAITING = (
    "SELECT count(*) FROM ledger_delivery WHERE state NOT IN ('accepted') AND next_attempt_at IS NOT NULL"
)
_ATTEMPTS = """
SELECT c.name, a.lane_epoch, a.ended_at, d.recipient FROM ledger_attempt a
JOIN ledger_connection c ON c.id = a.connection_id JOIN ledger_delivery d ON d.message_id = a.message_id
"""
_DELIVERIES = """
SELECT d.recipient, d.state, d.doubts, d.next_attempt_at IS NOT NULL, d.doubts FROM ledger_delivery d
"""


def slowly(dice):
    """Every phase takes its time, so that a stop meets transactions in all of them."""

    def hook(longest):
        return lambda moment: Answer(
            {"rcpt": "250 2.1.5 ok", "data": "354 go ahead"}.get(moment.phase, "250 2.0.0 taken"),
            delay=dice.uniform(0.05, longest),
        )

    def chunk(moment):
        if moment.argument.endswith("LAST"):
            return None
        return Answer("250 2.0.0 go on", delay=dice.uniform(0.05, 0.4))

    return {"rcpt": hook(0.2), "data": hook(0.4), "content": hook(0.4), "bdat": chunk}


@contextlib.contextmanager
def servers():
    """One of each kind, in a thread each."""
    dice = random.Random(4)
    with contextlib.ExitStack() as things:
        yield {
            kind: things.enter_context(
                SinkServer(keywords=tuple(keywords.split(",")), hooks=slowly(dice)).in_thread()
            )
            for kind, keywords in KINDS.items()
        }


def begin(product, sinks):
    """Queued work for each, and couriers at it."""
    for kind, sink in sinks.items():
        product.api.connect(sink, name=kind, sender_email=f"{kind}@example.org", active=False)
    for kind in sinks:
        messages = [
            {
                "to": [f"{number}@{kind}-retry.example.com"],
                "text": "x" * LARGE if number % 8 == 7 else "Good day.",
                "connection": kind,
            }
            for number in range(EACH)
        ]
        product.api.post("/messages/batch", {"messages": messages}, status=202)
    for kind in sinks:
        product.run("connection", "activate", kind)
    until(lambda: all(len(sink.accepted) >= 10 for sink in sinks.values()), 60, what="work for all")


def holds_a_lock(product):
    """Whether the database waits for somebody."""
    if product.database == "postgresql":
        with psycopg.connect(product.environment["DATABASE_URL"], autocommit=True) as db:
            try:
                db.execute("SELECT 1 FROM ledger_lane, ledger_instance FOR UPDATE NOWAIT")
            except psycopg.errors.LockNotAvailable:
                return True
            return False
    file = product.data / "vaguemestre.sqlite3"
    with file.with_name(f"{file.name}-lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except (BlockingIOError, sqlite3.OperationalError):
            return True
        return False


def suspend(product):
    """Stop the courier, but not in a transaction, where everybody waits for it; its process id and when."""
    pid = product.child("courier")
    for _ in range(50):
        os.kill(pid, signal.SIGSTOP)
        stopped = time.time()
        time.sleep(0.2)
        if not any(holds_a_lock(product) for _ in range(3)):
            return pid, stopped
        os.kill(pid, signal.SIGCONT)
        time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError("the courier is always in a transaction")


@contextlib.contextmanager
def another_courier(product):
    """On the same data, by another name at EHLO; ended in order."""
    environment = product.environment | {"VAGUEMESTRE_BASE_URL": f"http://{SECOND}"}
    with (product.home / "second").open("wb") as log:
        second = subprocess.Popen([COMMAND, "courier"], env=environment, stdout=log, stderr=log)
        try:
            yield second
            second.terminate()
            assert second.wait(30) == 0
        finally:
            second.kill()
            second.wait()
    assert "Traceback" not in (product.home / "second").read_text()


def sessions_of_the_second(sink):
    return {number for number, line in list(sink.commands) if line == f"EHLO {SECOND}"}


def taken_by_the_first(sink, since):
    """What arrived since then on sessions of the first courier: recipients."""
    others = sessions_of_the_second(sink)
    return [one.recipients[0] for one in list(sink.accepted) if one.at > since and one.session not in others]


def written_by_the_first(product, before, since):
    """Recipients of attempts that it recorded since then as evidence; under its lease there must be none."""
    late = [row for row in product.rows(_ATTEMPTS) if row[1] <= before[row[0]][0] and moment(row[2]) > since]
    assert [row for row in late if row[1]] == []
    return {recipient for *_, recipient in late}


def moment(value):
    """Seconds since the epoch, of what a database says."""
    if isinstance(value, str):
        return (
            time.mktime(time.strptime(value[:19], "%Y-%m-%d %H:%M:%S"))
            - time.timezone
            + float("0" + value[19:26])
        )
    return value.timestamp()


@sqlite_first
@pytest.mark.timeout(240)
def test_l04_a_suspended_courier_sends_and_writes_nothing_once_its_lanes_are_taken(database):
    with servers() as sinks, Product(database=database, VAGUEMESTRE_DOUBT_DELAY="2") as product:
        begin(product, sinks)
        pid, stopped = suspend(product)
        claims = product.rows(_CLAIMS)
        staged = {recipient for _, recipient, marked in claims if marked}
        before = {name: (epoch, holder) for name, epoch, holder in product.rows(_EPOCHS)}
        assert {name for name, _, marked in claims if not marked} == set(sinks), "nothing was on its way"

        with another_courier(product) as second:
            until(
                lambda: all(epoch > before[name][0] for name, epoch, _ in product.rows(_EPOCHS)),
                LEASE + 15,
                what="the taking over",
            )
            assert time.time() - stopped >= LEASE - 5.5  # it renewed up to 5 s before it was stopped
            until(lambda: all(map(sessions_of_the_second, sinks.values())), 20, what="work of the second")
            os.kill(pid, signal.SIGCONT)
            time.sleep(3)
            assert parent_of(pid) is not None

            for sink in sinks.values():
                assert set(taken_by_the_first(sink, stopped)) <= staged
            assert written_by_the_first(product, before, stopped) <= staged
            for _, epoch, holder in product.rows(_EPOCHS):
                assert holder.split()[2] == str(second.pid), (epoch, holder)
            until(lambda: product.rows(_WAITING) == [(0,)], 120, 0.5, what="the end of the work")
            for sink in sinks.values():
                assert set(taken_by_the_first(sink, stopped)) <= staged

        accounted(product, sinks)
        assert "Traceback" not in product.logs()
        # The first, whose lanes are free again, takes them and works.
        product.until_state(
            product.api.send(to=["last@plain-retry.example.com"], connection="plain")["id"], "accepted"
        )
        assert parent_of(pid) is not None


def accounted(product, sinks):
    """Everything arrived, and no copy lacks its doubt."""
    taken = {}
    for sink in sinks.values():
        assert sink.faults == []
        for one in sink.accepted:
            taken.setdefault(one.recipients[0], []).append(str(hash(one.content)))
    rows = product.rows(_DELIVERIES)
    assert len(rows) == len(sinks) * EACH
    for recipient, *row in rows:
        judge(recipient, Fate(*row, tuple(taken.get(recipient, ()))))
    told = {state: sum(row[1] == state for row in rows) for state in ("accepted", "in_doubt")}
    print(told, "doubts:", sum(row[2] for row in rows))  # noqa: T201  shown with -rP
