"""The cursor on SQLite keeps what it made of a statement, and makes of it what Django does."""

import pytest
from django.db import connection as database
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from ledger.kit import on_postgresql, sql
from vaguemestre.ledger.database import rows

pytestmark = pytest.mark.django_db

STATEMENTS = [
    ("SELECT %s, '100 %%'", ["a"]),
    ("SELECT %s, %s, '%%s'", ["a", "b"]),
    ("SELECT %(one)s, %(two)s, %(one)s", {"one": "a", "two": "b"}),
    ("SELECT '" + "x" * 20_000 + "', %s", ["a"]),
]


@pytest.fixture(autouse=True)
def _on_sqlite():
    if on_postgresql():
        pytest.skip("SQLite's own")


@pytest.mark.parametrize(("statement", "given"), STATEMENTS)
def test_a_statement_is_rewritten_as_django_does_it_each_time(statement, given):
    with database.cursor() as cursor:
        ours = cursor.cursor
        names = list(given) if isinstance(given, dict) else None
        expected = SQLiteCursorWrapper.convert_query(ours, statement, param_names=names)
        assert [ours.convert_query(statement, param_names=names) for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize(("statement", "given"), STATEMENTS)
def test_what_is_asked_again_answers_the_same(statement, given):
    with database.cursor() as cursor:
        answers = [cursor.execute(statement, given).fetchall() for _ in range(2)]
    assert answers[0] == answers[1]


def test_one_statement_with_values_in_order_and_by_name_is_two():
    assert sql("SELECT %s", "a") == [("a",)]
    assert rows("SELECT %(s)s AS found", {"s": "b"}) == [{"found": "b"}]
