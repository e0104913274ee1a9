"""`writing` does to the connection what Django's `atomic` does, whatever happens within it."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError, connection, transaction
from hypothesis import example, given, settings
from hypothesis import strategies as some

from ledger.kit import on_postgresql, sql
from vaguemestre.ledger.database import provisional, writing
from vaguemestre.ledger.models import Courier
from vaguemestre.ledger.sqlite.base import Occupied

pytestmark = pytest.mark.django_db(transaction=True)

PLAIN = ["write", "clash", "hook", "bad hook", "robust hook", "undo", "close", "raise", "dangle"]
STEPS = some.recursive(
    some.sampled_from(PLAIN),
    lambda inner: some.tuples(some.sampled_from(["ours", "theirs", "caught"]), some.lists(inner, max_size=4)),
    max_leaves=8,
)


class Trial:
    """A program run within one kind of block, and what was seen of the connection on the way."""

    def __init__(self, block):
        self.block = block
        self.seen = []

    def note(self):
        self.seen.append(
            (
                connection.in_atomic_block,
                connection.autocommit,
                connection.commit_on_exit,
                len(connection.savepoint_ids),
                len(connection.atomic_blocks),
                connection.needs_rollback,
                len(connection.run_on_commit),
                connection.closed_in_transaction,
                connection.connection is None,
                connection.errors_occurred,
                getattr(connection, "_locked", False),
            )
        )

    def run(self, steps):
        Courier.objects.all().delete()
        self.within(self.block, steps, caught=True)
        self.note()
        self.seen.append(sorted(Courier.objects.values_list("holder", flat=True)))
        self.note()
        return self.seen

    def within(self, block, steps, *, caught=False):
        try:
            with block():
                for place, step in enumerate(steps):
                    self.note()
                    self.take(step, place)
        except Exception as error:
            self.seen.append(type(error))
            if not caught:
                raise

    def take(self, step, place):
        match step:
            case "write":
                Courier.objects.create(holder=f"{len(self.seen)}", beat_at="2026-11-28T10:00Z")
            case "clash":
                sql("INSERT INTO ledger_instance SELECT * FROM ledger_instance")
            case "hook":
                transaction.on_commit(lambda: self.seen.append(("hook", place)))
            case "bad hook":
                transaction.on_commit(lambda: {}["hook"])
            case "robust hook":
                transaction.on_commit(lambda: {}["hook"], robust=True)
            case "undo":
                transaction.set_rollback(True)
            case "close":
                connection.close()
            case "raise":
                raise LookupError
            case "dangle":
                if not on_postgresql():
                    sql("PRAGMA defer_foreign_keys = ON")
                sql("UPDATE ledger_stream SET connection_id = 4711")
            case (kind, inner):
                block = transaction.atomic if kind == "theirs" else self.block
                self.within(block, inner, caught=kind == "caught")


@settings(max_examples=30)
@given(some.lists(STEPS, max_size=5), some.booleans())
@example(["write", "dangle", "hook"], False)  # a commit that fails
@example(["hook", "bad hook", "hook"], False)
@example(["write", ("caught", ["write", "clash"]), "write", "hook"], False)
@example(["write", ("ours", ["undo"]), "hook"], False)
@example(["hook", "close"], False)
@example(["write"], True)
def test_it_leaves_the_connection_as_djangos_does(steps, closed):
    found = []
    for block in (transaction.atomic, writing, provisional):
        connection.ensure_connection()
        if closed:
            connection.close()
        found.append(Trial(block).run(steps))
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_without_autocommit_it_does_what_djangos_does():
    found = []
    for block in (transaction.atomic, writing):
        trial = Trial(block)
        transaction.set_autocommit(False)
        try:
            trial.within(block, ["write", ("ours", ["write"]), "hook"])
            trial.note()
            transaction.rollback()
        finally:
            transaction.set_autocommit(True)
        trial.note()
        found.append([*trial.seen, Courier.objects.all().delete()[0]])
    assert found[1] == found[0]


@pytest.mark.skipif(on_postgresql(), reason="there a transaction that failed says so itself")
def test_what_sqlite_undid_by_itself_is_no_commit():
    hooks = []

    def undone():
        with writing():
            Courier.objects.create(holder="lost", beat_at="2026-11-28T10:00Z")
            transaction.on_commit(lambda: hooks.append("told"))
            connection.connection.execute("ROLLBACK")  # as after a full disk, by somebody who tells nobody

    with pytest.raises(OperationalError, match="undone"):
        undone()
    assert (hooks, Courier.objects.count()) == ([], 0)
    assert (connection.in_atomic_block, connection._locked) == (False, False)
    with writing():
        Courier.objects.create(holder="kept", beat_at="2026-11-28T10:00Z")
    assert Courier.objects.count() == 1


def test_a_durable_block_is_refused_within_it():
    with writing(), pytest.raises(RuntimeError, match="durable"), transaction.atomic(durable=True):
        pass


@pytest.mark.parametrize("opened", [False, True])
def test_it_is_refused_where_a_loop_runs(monkeypatch, opened):
    async def enter():
        if opened:  # in the loop's own context, as a library may that says it knows what it does
            with monkeypatch.context() as there:
                there.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
                connection.ensure_connection()
        monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)
        try:
            with pytest.raises(SynchronousOnlyOperation), writing():
                pass
            return connection.in_atomic_block, connection.atomic_blocks
        finally:
            monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
            connection.close()

    assert asyncio.run(enter()) == (False, [])


@pytest.mark.skipif(on_postgresql(), reason="asked otherwise there")
def test_what_waits_for_no_disk_is_over_with_the_block_however_it_ends():
    def disk():
        ((found,),) = sql("PRAGMA synchronous")
        return found

    with provisional():
        assert disk() == 1
    assert disk() == 2
    Trial(provisional).within(provisional, ["write", "raise"], caught=True)
    assert disk() == 2
    Trial(provisional).within(provisional, ["write", "close"])
    assert disk() == 2
    with writing(), provisional():
        assert disk() == 2
    seen = []
    with provisional():
        transaction.on_commit(lambda: seen.append(disk()))
    assert (seen, disk()) == ([2], 2)


@pytest.mark.skipif(on_postgresql(), reason="nobody is impatient there")
def test_what_waits_for_no_disk_is_over_where_it_could_not_begin():
    def within():
        with provisional():
            pass

    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(Occupied):
            connection.impatient(within)
    assert sql("PRAGMA synchronous") == [(2,)]
