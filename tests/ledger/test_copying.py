"""SQLite's log is copied beside those who write, and begins anew however busy they are."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.db import connection, transaction

from ledger.kit import child, elsewhere, on_postgresql, sql
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.sqlite import copying
from vaguemestre.ledger.sqlite.copying import copy

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(on_postgresql(), reason="PostgreSQL has a log of its own"),
]

_WRITER = """
from django.db import connection
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.sqlite.copying import copier
copier.start()
for _ in range(49):
    bump()
print(connection.cursor().execute("PRAGMA wal_autocheckpoint").fetchone()[0], copier._due.is_set(), flush=True)
file = os.stat(connection.settings_dict["NAME"]).st_mtime_ns
bump()
until = time.monotonic() + 5
while os.stat(connection.settings_dict["NAME"]).st_mtime_ns == file and time.monotonic() < until:
    time.sleep(0.001)
print(os.stat(connection.settings_dict["NAME"]).st_mtime_ns > file, flush=True)
"""


_UNLUCKY = """
from vaguemestre.ledger.sqlite import copying
def copy():
    print("tried", flush=True)
    raise PermissionError("the lock file cannot be opened")
copying.copy = copy
copying.copier.start()
for _ in range(2):
    copying.copier._due.set()
    time.sleep(0.2)
"""


def test_a_copy_waits_for_no_writer():
    bump()
    before = _copied_at()
    with transaction.atomic():
        bump()
        elsewhere(copy)
        assert _copied_at() > before


def test_who_copies_goes_on_behind_a_copy_that_failed():
    with child(_UNLUCKY) as copier:
        out, errors = copier.communicate(timeout=20)
    assert (out.split(), errors) == (["tried", "tried"], "")


def test_the_end_of_a_long_log_is_copied_under_the_lock(monkeypatch):
    monkeypatch.setattr(copying, "LONG", 0)
    with _locked() as seen:
        copy()
        assert seen == [False]
        with _reading():
            bump()
            copy()
        assert seen == [False, False, True]
    assert not connection._locked
    elsewhere(bump)  # which would wait for ever


def test_a_log_that_grew_while_somebody_read_one_state_is_cut_again():
    assert sql("PRAGMA journal_size_limit") == [(64 * 1024 * 1024,)]
    log = Path(connection.settings_dict["NAME"] + "-wal")
    sql("PRAGMA journal_size_limit = 100000")
    try:
        with _reading():
            sql("CREATE TABLE grown AS SELECT zeroblob(1000000) AS octets")
            assert log.stat().st_size > 1_000_000
        copy()
        bump()
        assert log.stat().st_size <= 100_000
    finally:
        sql("DROP TABLE grown")
        connection.close()


def test_who_copies_wakes_after_some_fifty_commits():
    with child(_WRITER) as writer:
        out, errors = writer.communicate(timeout=20)
    assert (out.split(), errors) == (["4000", "False", "True"], "")


def _copied_at():
    return Path(connection.settings_dict["NAME"]).stat().st_mtime_ns


@contextmanager
def _reading():
    """Somebody who reads what was there before: no copy passes that."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], autocommit=False)) as reader:
        reader.execute("SELECT count(*) FROM ledger_instance").fetchone()
        yield


@contextmanager
def _locked():
    """Of each copy: whether this connection had the lock."""
    seen = []

    def note(execute, statement, *call):
        if statement.startswith("PRAGMA wal_checkpoint"):
            seen.append(connection._locked)
        return execute(statement, *call)

    with connection.execute_wrapper(note):
        yield seen
