"""The file lock before SQLite's: taken before BEGIN, given back after the end, whatever the end was."""

import errno
import fcntl
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db import connections as databases

from ledger.kit import at_once, child, connect, elsewhere, on_postgresql, post
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.models import Instance, Message
from vaguemestre.ledger.sqlite import base
from vaguemestre.ledger.sqlite.base import LOCK_SUFFIX

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(on_postgresql(), reason="PostgreSQL needs no such lock"),
]


def is_free():
    descriptor = os.open(connection.settings_dict["NAME"] + LOCK_SUFFIX, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def open_locks():
    """How many descriptors of the lock file this process has, and of one that was deleted."""
    name = str(Path(connection.settings_dict["NAME"] + LOCK_SUFFIX).resolve())
    links = [str(link.resolve()) for link in Path("/proc/self/fd").iterdir()]
    return sum(link.removesuffix(" (deleted)") == name for link in links)


@pytest.fixture(autouse=True)
def _nothing_left():
    connection.close()
    before = open_locks()
    yield
    assert is_free()
    connection.close()
    assert open_locks() == before


def test_a_transaction_has_the_lock_and_gives_it_back():
    with transaction.atomic():
        assert not is_free()
    assert is_free()


def test_the_file_is_open_as_long_as_the_connection_is():
    others = open_locks()
    for _ in range(3):
        with transaction.atomic():
            bump()
        assert open_locks() == others + 1
    connection.close()
    assert open_locks() == others


def test_a_lock_file_that_is_deleted_is_made_anew_by_the_next_transaction():
    with transaction.atomic():
        bump()
    Path(connection.settings_dict["NAME"] + LOCK_SUFFIX).unlink()
    with transaction.atomic():
        assert not is_free()


def test_who_is_interrupted_as_it_gets_the_lock_keeps_it_not(monkeypatch):
    def flock(descriptor, how):
        fcntl.flock(descriptor, how)
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "fcntl", SimpleNamespace(**{**vars(fcntl), "flock": flock}))
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        pass
    monkeypatch.undo()
    assert is_free()


def _no_locks(*_):
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_lock_that_the_kernel_cannot_give_is_a_fault_of_the_database_and_passes(monkeypatch):
    with monkeypatch.context() as short:
        short.setattr(base, "fcntl", SimpleNamespace(**{**vars(fcntl), "flock": _no_locks}))
        with pytest.raises(OperationalError, match="No locks available"), transaction.atomic():
            bump()
        with pytest.raises(OperationalError, match="No locks available"):
            connection.impatient(bump)
    with transaction.atomic():
        assert not is_free()


def test_who_is_impatient_waits_for_no_foreign_writer_on_any_connection():
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as shell:
        connection.ensure_connection()
        for _ in range(2):
            shell.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            with pytest.raises(base.Occupied):
                connection.impatient(_bump_within)
            assert time.monotonic() - begun < 1
            shell.execute("COMMIT")
            connection.impatient(_bump_within)
            connection.close()  # the next one is another


def _bump_within():
    with transaction.atomic():
        bump()


def test_a_lock_file_that_cannot_be_opened_is_a_fault_of_the_database_and_passes():
    connection.close()
    path = Path(connection.settings_dict["NAME"] + LOCK_SUFFIX)
    path.unlink(missing_ok=True)
    path.mkdir()
    try:
        with pytest.raises(OperationalError, match="lock file"), transaction.atomic():
            bump()
    finally:
        path.rmdir()
    with transaction.atomic():
        assert not is_free()


def test_a_thread_that_is_within_a_transaction_at_the_interpreter_s_end_has_the_lock():
    other = child("""
import weakref
from django.db import transaction
with transaction.atomic():
    weakref.finalize._exitfunc()
    print("finalized", flush=True)
    sys.stdin.readline()
print("committed", flush=True)
""")
    assert other.stdout.readline() == "finalized\n"
    assert not is_free()
    assert other.communicate("\n")[0] == "committed\n"


def test_no_other_thread_can_use_a_connection_that_sqlite_does_not_lock():
    connection.ensure_connection()
    (answer,) = at_once([partial(connection.connection.execute, "SELECT 1")])
    assert isinstance(answer, sqlite3.ProgrammingError)


def test_a_connection_that_was_left_without_autocommit_is_not_used_again():
    connection.set_autocommit(False)
    connection.close_if_unusable_or_obsolete()
    assert connection.connection is None
    assert is_free()
    connection.set_autocommit(True)


def test_inner_blocks_share_the_lock_of_the_outermost():
    with transaction.atomic():
        with transaction.atomic():
            bump()
        assert not is_free()
        with pytest.raises(RuntimeError), transaction.atomic():
            raise RuntimeError
        assert not is_free()
    assert is_free()


def test_a_transaction_that_is_rolled_back_gives_the_lock_back():
    with transaction.atomic():
        bump()
        transaction.set_rollback(True)
    assert is_free()


def test_a_commit_that_failed_has_the_lock_until_it_is_rolled_back(monkeypatch):
    connect()
    post()
    free, rollback = [], connection._rollback
    monkeypatch.setattr(connection, "_rollback", lambda: free.append(is_free()) or rollback())
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.update(resent_from=10**9)
    assert (free, is_free()) == ([False], True)


def test_a_transaction_whose_begin_fails_gives_the_lock_back():
    connection.ensure_connection()
    connection.connection.execute("PRAGMA busy_timeout = 0")
    connection.connection.execute("PRAGMA query_only = OFF")
    other = child("""
import sqlite3
from django.db import connection
held = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
""")
    assert other.stdout.readline() == "held\n"
    try:
        with pytest.raises(OperationalError, match="locked"), transaction.atomic():
            bump()
        assert is_free()
    finally:
        other.communicate()
        connection.close()
    with transaction.atomic():
        bump()


def test_closing_within_a_transaction_gives_the_lock_back():
    with transaction.atomic():
        bump()
        connection.close()
        assert is_free()
    assert Instance.objects.get().routing_epoch >= 1


def test_a_failed_commit_keeps_the_lock_until_the_rollback():
    def break_a_reference():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("PRAGMA defer_foreign_keys = ON")
            cursor.execute("UPDATE ledger_stream SET connection_id = 4711")

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        break_a_reference()
    assert is_free()
    with transaction.atomic():
        assert not is_free()


def test_an_interrupt_in_a_transaction_gives_the_lock_back():
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        raise KeyboardInterrupt
    assert is_free()


def test_a_write_outside_a_transaction_takes_it_for_itself():
    seen = []

    def look(execute, *call):
        try:
            return execute(*call)
        finally:
            seen.append(is_free())

    with connection.execute_wrapper(look):
        bump()
        Instance.objects.get()
    assert seen == [False, True]
    assert is_free()


def test_reading_does_not_wait_for_the_lock():
    def read():
        start = time.monotonic()
        Instance.objects.get()
        return time.monotonic() - start

    with transaction.atomic():
        bump()
        assert elsewhere(read) < 1


def test_threads_wait_for_each_other():
    inside, most = [], []

    def work():
        for _ in range(20):
            with transaction.atomic():
                inside.append(1)
                most.append(len(inside))
                bump()
                inside.pop()

    before = Instance.objects.get().routing_epoch
    answers = at_once([work] * 6)
    assert answers == [None] * 6
    assert set(most) == {1}
    assert Instance.objects.get().routing_epoch == before + 120


def test_a_process_waits_for_another_and_a_killed_one_lets_go():
    holding = child("""
from django.db import transaction
from vaguemestre.ledger.instance import bump
with transaction.atomic():
    bump()
    print("held", flush=True)
    sys.stdin.read()
""")
    assert holding.stdout.readline() == "held\n"
    assert not is_free()
    done = threading.Event()

    def write():
        try:
            with transaction.atomic():
                bump()
            done.set()
        finally:
            databases.close_all()

    before = Instance.objects.get().routing_epoch
    waiting = threading.Thread(target=write)
    waiting.start()
    assert not done.wait(0.3)
    os.kill(holding.pid, signal.SIGKILL)
    assert done.wait(5)
    waiting.join()
    holding.communicate()
    assert Instance.objects.get().routing_epoch == before + 1  # the killed one's change is undone


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_within_a_transaction_neither_keeps_nor_releases_the_lock():
    def child(act):
        pid = os.fork()
        if pid == 0:
            try:
                act()
                time.sleep(0.5)
            finally:
                os._exit(0)
        return pid

    with transaction.atomic():
        bump()
        children = [child(connection._give_back), child(lambda: None)]
        time.sleep(0.2)
        assert not is_free()  # the first gave back nothing that is ours
    assert is_free()  # and the second's copy of the descriptor keeps nothing
    for pid in children:
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_lock_of_its_own():
    """Over one descriptor both would have it at once."""
    with transaction.atomic():
        bump()
    pid = os.fork()
    if pid == 0:
        taken = 1
        try:
            connection._take()
            taken = 0
            time.sleep(1)
        finally:
            os._exit(taken)
    time.sleep(0.3)
    assert not is_free()
    begun = time.monotonic()
    with transaction.atomic():
        bump()
    assert time.monotonic() - begun > 0.3
    assert os.waitpid(pid, 0)[1] == 0


def test_sessions_of_people_are_written_while_others_write():
    stop = threading.Event()

    def hammer():
        try:
            while not stop.is_set():
                with transaction.atomic():
                    bump()
        finally:
            databases.close_all()

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    worst = 0.0
    for _ in range(20):
        start = time.monotonic()
        store = SessionStore()
        store["x"] = 1
        store.create()
        Instance.objects.update(setup_digest="x")
        worst = max(worst, time.monotonic() - start)
    stop.set()
    for thread in threads:
        thread.join()
    assert worst < 2


def test_a_message_is_accepted_while_the_lock_is_contended():
    connect()
    answers = at_once([post] * 12)
    assert not any(isinstance(answer, Exception) for answer in answers)
    assert Message.objects.count() == 12
