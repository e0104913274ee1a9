"""What an operator has to mend is told with what to do, and is nobody's fault but the file's."""

import os
from contextlib import closing

import pytest
from django.db import OperationalError, connection

from ledger.kit import on_postgresql
from vaguemestre.ledger.database import AWAY
from vaguemestre.ledger.sqlite import errors
from vaguemestre.ledger.sqlite.base import DatabaseWrapper
from vaguemestre.ledger.storing import problem_of

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(on_postgresql(), reason="the files of SQLite"),
]

PAGE = 4096


@pytest.fixture
def file(tmp_path):
    """A database with a table of some pages."""
    path = tmp_path / "some.sqlite3"
    with closing(opened(path)) as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (words TEXT)")
        cursor.execute("INSERT INTO kept VALUES (%s), (%s)", ["x" * PAGE, "y" * PAGE])
    return path


def opened(path):
    return DatabaseWrapper({**connection.settings_dict, "NAME": str(path)}, "some")


def asked(path, *statements):
    with closing(opened(path)) as database, database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def damage(path):
    data = bytearray(path.read_bytes())
    data[PAGE:] = os.urandom(len(data) - PAGE)
    path.write_bytes(data)


def test_a_damaged_file_counts_as_a_database_that_is_away_and_says_what_to_do(file):
    damage(file)
    with pytest.raises(AWAY, match=f"the file {file} is damaged: stop Vaguemestre") as told:
        asked(file, "SELECT * FROM kept")
    assert problem_of(told.value) == "damaged"


def test_a_damage_is_noted_for_the_file_that_has_it_until_somebody_begins_anew(file):
    good = file.read_bytes()
    errors.look(file)
    damage(file)
    with pytest.raises(errors.Damaged):
        asked(file, "SELECT * FROM kept")
    with pytest.raises(errors.Damaged, match="is damaged"):
        errors.look(file)
    restored = file.with_name("restored")
    restored.write_bytes(good)
    restored.replace(file)
    errors.look(file)
    damage(file)
    with pytest.raises(errors.Damaged):
        asked(file, "SELECT * FROM kept")
    errors.forget(file)
    errors.look(file)


@pytest.mark.parametrize(
    ("setting", "problem", "words"),
    [
        ("PRAGMA max_page_count = 1", "disk_full", "make room on the disk of"),
        ("PRAGMA query_only = 1", "not_writable", "mounted read-only"),
    ],
)
def test_what_takes_no_writes_says_why(file, setting, problem, words):
    with pytest.raises(OperationalError, match=words) as told:
        asked(file, setting, f"INSERT INTO kept VALUES ('{'z' * 9 * PAGE}')")
    assert problem_of(told.value) == problem
    assert str(file) in str(told.value)


def test_what_passes_by_itself_is_told_as_it_is():
    assert problem_of(OperationalError("database is locked")) is None
