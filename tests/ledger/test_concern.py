"""Statements about many rows at once (`database.concern`)."""

import json

import pytest
from django.db import transaction

from ledger.kit import on_postgresql
from vaguemestre.ledger.database import _pieces, concern

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = {"number": "bigint", "share": "float8", "text": "text", "document": "jsonb"}


def told(given, least):
    with transaction.atomic():
        found = concern(
            "SELECT number, share, text, document FROM given WHERE number >= %s",
            "given",
            COLUMNS,
            given,
            least,
        )
    return [(*row, json.loads(kept) if isinstance(kept, str) else kept) for *row, kept in found]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_a_statement_concerns_each_row_once_however_many_there_are(count):
    given = [
        (number, number / 4, f"'; {number} % \\ é", json.dumps({"n": [number]})) for number in range(count)
    ]
    assert told(given, 0) == [(*row, json.loads(kept)) for *row, kept in given]
    assert len(told(given, 1)) == count - 1


def test_what_is_nothing_stays_nothing():
    assert told([(7, None, None, None)], 0) == [(7, None, None, None)]


def test_no_rows_are_no_statement():
    assert told([], 0) == []


def test_any_number_of_rows_takes_few_statements_which_a_connection_keeps():
    """On SQLite; PostgreSQL takes up to 64 rows on one way."""
    sizes = set()
    for number in range(300):
        pieces = list(_pieces(range(3 * number), 3))
        assert [item for piece in pieces for item in piece] == list(range(3 * number))
        sizes |= {len(piece) / 3 for piece in pieces}
        assert len(pieces) == -(-number // 64) or not on_postgresql()
    assert sizes == {1, 2, 4, 8, 16, 32, 64} or on_postgresql()
