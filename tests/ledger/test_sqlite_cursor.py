"""The cursor on SQLite keeps what it made of a statement, and makes of it what Django does."""

from datetime import UTC, datetime

import pytest
from django.db import connection as database
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.models import Max

from ledger.kit import on_postgresql, sql
from vaguemestre.ledger.database import rows
from vaguemestre.ledger.models import User
from vaguemestre.ledger.statements import tuples

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


def test_times_and_truths_come_as_sqlite_keeps_them_and_the_models_make_values_of_them():
    at = datetime(2026, 11, 28, 9, 30, 0, 7, tzinfo=UTC)
    made = User.objects.create(email="a@example.org", date_joined=at, is_staff=True)
    question = "SELECT date_joined, is_staff FROM ledger_user WHERE id = %(id)s"
    assert tuples(question, {"id": made.pk}) == [("2026-11-28 09:30:00.000007", 1)]
    found = User.objects.get(pk=made.pk)
    assert (found.date_joined, found.is_staff) == (at, True)
    assert User.objects.filter(pk=made.pk).values_list("date_joined", "is_staff")[0] == (at, True)
    assert User.objects.aggregate(last=Max("date_joined"))["last"] == at
