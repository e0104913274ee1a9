"""Statements of the hot path: they give and take what Django's own would."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection, transaction
from hypothesis import given as whatever
from hypothesis import settings
from hypothesis import strategies as some

from ledger.kit import on_postgresql, sql
from vaguemestre.ledger.binding import Binding
from vaguemestre.ledger.database import rows, stored
from vaguemestre.ledger.statements import Insertion, _parts, concern, tuples

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = {"number": "bigint", "share": "float8", "text": "text", "document": "jsonb"}
NUMBERS = Insertion("kept", (), ("number",))
UPDATE = """
UPDATE kept AS k SET share = given.share, text = given.text, document = given.document, mark = %s
FROM given WHERE k.number = given.number AND k.number >= %s
"""


@pytest.fixture(autouse=True)
def kept():
    """A table that is gone with its connection, whatever becomes of the test."""
    sql("CREATE TEMPORARY TABLE kept (number bigint, share float8, text text, document jsonb, mark text)")
    sql("INSERT INTO kept (number) VALUES " + ", ".join(f"({number})" for number in range(200)))
    yield
    sql("DROP TABLE kept")


def put(insertion, shared, values):
    with Binding() as bound:
        insertion.put(bound, shared, values)


def told(given, least):
    """Which rows were changed, and what is in them."""
    with transaction.atomic():
        found = concern(UPDATE, COLUMNS, given, "told", least)
    rows = sql("SELECT number, share, text, document FROM kept WHERE mark = 'told' ORDER BY number")
    return found, [(*row, json.loads(kept) if isinstance(kept, str) else kept) for *row, kept in rows]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_an_update_concerns_each_row_once_however_many_there_are(count):
    given = [
        (number, number / 4, f"'; {number} ? \\ é", json.dumps({"n": [number]})) for number in range(count)
    ]
    assert told(given, 1)[0] == set(range(1, count))
    found, rows = told(given, 0)
    assert (found, rows) == (set(range(count)), [(*row, json.loads(kept)) for *row, kept in given])


def test_what_is_nothing_stays_nothing():
    assert told([(7, None, None, None)], 0) == ({7}, [(7, None, None, None)])


def test_what_meets_no_row_is_not_among_the_answers():
    assert told([(300, 1.0, "", "{}")], 0) == (set(), [])


def test_no_rows_change_none():
    assert told([], 0) == (set(), [])


def test_any_number_of_rows_takes_few_statements_which_a_connection_keeps():
    """On SQLite; PostgreSQL takes up to 64 rows on one way."""
    sizes = set()
    for number in range(300):
        pieces = [range(*part) for part in _parts(number)]
        assert [item for piece in pieces for item in piece] == list(range(number))
        sizes |= {len(piece) for piece in pieces}
        assert len(pieces) == -(-number // 64) or not on_postgresql()
    assert sizes == {1, 2, 4, 8, 16, 32, 64} or on_postgresql()


ZONES = some.one_of(
    some.just(UTC), some.integers(-1439, 1439).map(lambda at: timezone(timedelta(minutes=at)))
)
YEARS = {"min_value": datetime(2, 1, 1), "max_value": datetime(9998, 12, 31)}  # noqa: DTZ001  in any zone


@whatever(some.datetimes(**YEARS, timezones=ZONES))
def test_a_time_is_stored_as_the_models_fields_store_it(at):
    assert stored(at) == connection.ops.adapt_datetimefield_value(at)


@pytest.mark.parametrize(
    "at", [datetime(2026, 11, 24, 12, tzinfo=UTC), datetime(999, 1, 2, 3, 4, 5, 60, UTC)]
)
def test_a_time_with_and_without_microseconds_is_stored_as_the_models_fields_store_it(at):
    assert stored(at) == connection.ops.adapt_datetimefield_value(at)


def test_a_question_finds_what_the_general_one_finds():
    asked = {"least": 190, "at": datetime(2026, 11, 24, 12, 0, 0, 7, tzinfo=UTC)}
    question = "SELECT number, text, CAST(%(at)s AS text) AS at FROM kept WHERE number >= %(least)s"
    found = tuples(question, asked)
    assert found == [tuple(row.values()) for row in rows(question, asked)]
    assert len(found) == 10


def test_what_writes_is_refused_outside_of_a_transaction():
    with pytest.raises(RuntimeError, match="for transactions"):
        put(NUMBERS, [()], [500])
    with pytest.raises(RuntimeError, match="for transactions"):
        concern(UPDATE, COLUMNS, [(1, None, None, None)], "told", 0)
    assert sql("SELECT COUNT(*) FROM kept WHERE number = 500 OR mark = 'told'") == [(0,)]


def test_what_writes_is_refused_in_a_transaction_that_will_be_undone():
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            put(NUMBERS, [()], [1_000])
    assert sql("SELECT count(*) FROM kept") == [(200,)]


ALIKE = Insertion("kept", ("share", "text"), ("number", "document"), {"mark": "'new'"})
SHARED = some.tuples(some.sampled_from([0.25, None]), some.sampled_from(["", "'; ? \\ é"]))


@settings(max_examples=25)
@whatever(
    some.one_of(
        some.lists(SHARED, max_size=150),
        some.builds(list.__mul__, some.tuples(SHARED).map(list), some.integers(0, 150)),
    )
)
def test_rows_that_are_alike_are_inserted_as_they_are_given_whether_they_are_or_not(shared):
    numbers = [1000 + place for place in range(len(shared))]
    values = [value for number in numbers for value in (number, json.dumps([number]))]
    with transaction.atomic():
        sql("DELETE FROM kept")
        put(ALIKE, shared, values)
    found = sql("SELECT number, share, text, document, mark FROM kept ORDER BY number")
    assert [
        (*row[:3], json.loads(row[3]) if isinstance(row[3], str) else row[3], row[4]) for row in found
    ] == [(number, *row, [number], "new") for number, row in zip(numbers, shared, strict=True)]
