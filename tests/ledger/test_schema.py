import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def test_the_database_answers():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_connection")
        assert cursor.fetchone() == (0,)
