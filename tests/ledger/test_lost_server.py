"""D6: a PostgreSQL server that is gone without a word, as behind a cable that was pulled, is missed within seconds."""

import pytest
from django.db import connection

from ledger.kit import on_postgresql

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgresql(), reason="about PostgreSQL's line"),
]

LIMITS = {
    "connect_timeout": "10",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


def test_d6_a_connection_waits_for_a_silent_server_no_longer_than_seconds():
    connection.ensure_connection()
    parameters = connection.connection.info.get_parameters()
    assert {name: parameters.get(name) for name in LIMITS} == LIMITS
