"""D6: a PostgreSQL server that is gone without a word, as behind a cable that was pulled, is missed within seconds."""

import pytest
from django.db import connection

from cluster.postgresql import administer
from ledger.kit import elsewhere, on_postgresql, sql
from vaguemestre.ledger.database import durability_problems

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


def test_d6_the_server_ends_a_transaction_whose_courier_is_gone_without_a_word():
    """It would keep the lanes' rows for hours, and every other courier waiting for them."""
    assert elsewhere(lambda: sql("SHOW idle_in_transaction_session_timeout")) == [("15s",)]


@pytest.mark.parametrize(
    "setting", ["synchronous_commit = off", "idle_in_transaction_session_timeout = '7s'"]
)
def test_l5_what_a_role_or_database_is_given_while_we_run_makes_no_commit_less_durable(setting):
    name = connection.settings_dict["NAME"]
    administer(f"ALTER DATABASE {name} SET {setting}")
    try:
        commits, idle, problems = elsewhere(
            lambda: (
                sql("SHOW synchronous_commit"),
                sql("SHOW idle_in_transaction_session_timeout"),
                durability_problems(),
            )
        )
    finally:
        administer(f"ALTER DATABASE {name} RESET ALL")
    assert commits == [("on",)]
    assert idle == ([("7s",)] if "7s" in setting else [("15s",)])
    assert len(problems) == ("off" in setting)  # who starts now is told, and does not


def test_a_role_that_wants_stricter_isolation_makes_nobody_fail_who_waited_for_a_row():
    name = connection.settings_dict["NAME"]
    administer(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    try:
        assert elsewhere(lambda: sql("SHOW transaction_isolation")) == [("read committed",)]
    finally:
        administer(f"ALTER DATABASE {name} RESET ALL")
