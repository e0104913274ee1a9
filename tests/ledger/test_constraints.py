"""What cannot exist: rows that the database itself refuses, whatever code, migration or hand writes them."""

import uuid

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from ledger.kit import NOW, connect, on_postgresql, post, sql, submission
from vaguemestre.ledger.accept import accept
from vaguemestre.ledger.models import Connection, Delivery

pytestmark = pytest.mark.django_db

AT = "2026-11-24 12:00:00"
LEASED = f"lane_epoch = 1, claimed_at = '{AT}', attempt = '{uuid.UUID(int=1).hex}'"
IMPOSSIBLE = {
    "no state": "state = 'sent'",
    "queued without a connection": "connection_id = NULL",
    "queued without a route": "route = NULL",
    "queued without a time": "next_attempt_at = NULL",
    "queued and settled": f"settled_at = '{AT}'",
    "queued and leased": "lane_epoch = 1",
    "queued and staged": f"staged_at = '{AT}'",
    "queued after a doubt": "doubts = 1",
    "held after a doubt": "state = 'held', doubts = 1",
    "refused after a doubt": f"state = 'refused', doubts = 1, settled_at = '{AT}'",
    "expired after a doubt": f"state = 'expired', doubts = 1, settled_at = '{AT}'",
    "claimed without a lease": "state = 'claimed'",
    "claimed without an attempt": f"state = 'claimed', lane_epoch = 1, claimed_at = '{AT}'",
    "claimed without a connection": f"state = 'claimed', connection_id = NULL, {LEASED}",
    "claimed without a route": f"state = 'claimed', route = NULL, {LEASED}",
    "claimed and settled": f"state = 'claimed', settled_at = '{AT}', {LEASED}",
    "in doubt without a doubt": "state = 'in_doubt', doubt_reason = 'timeout'",
    "in doubt without a reason": "state = 'in_doubt', doubts = 1",
    "in doubt without a connection": (
        "state = 'in_doubt', doubts = 1, doubt_reason = 'timeout', connection_id = NULL"
    ),
    "in doubt without a route": "state = 'in_doubt', doubts = 1, doubt_reason = 'timeout', route = NULL",
    "in doubt and leased": "state = 'in_doubt', doubts = 1, doubt_reason = 'timeout', lane_epoch = 1",
    "accepted without a time": "state = 'accepted'",
    "refused without a time": "state = 'refused'",
    "expired without a time": "state = 'expired'",
    "cancelled without a time": "state = 'cancelled'",
    "accepted and still leased": f"state = 'accepted', settled_at = '{AT}', lane_epoch = 1",
    "accepted and still staged": f"state = 'accepted', settled_at = '{AT}', staged_at = '{AT}'",
}
POSSIBLE = {
    "claimed": f"state = 'claimed', {LEASED}",
    "claimed and staged": f"state = 'claimed', staged_at = '{AT}', {LEASED}",
    "in doubt": "state = 'in_doubt', doubts = 1, doubt_reason = 'timeout', next_attempt_at = NULL",
    "held": "state = 'held', connection_id = NULL, route = NULL",
    "accepted": f"state = 'accepted', settled_at = '{AT}', next_attempt_at = NULL",
    "accepted after a doubt": f"state = 'accepted', doubts = 1, settled_at = '{AT}'",
    "cancelled after a doubt": f"state = 'cancelled', doubts = 1, settled_at = '{AT}'",
}
CONNECTIONS = {
    "port 0": "port = 0",
    "port 65536": "port = 65536",
    "an unknown encryption": "encryption = 'tls'",
    "an unknown kind of authentication": "auth = 'kerberos'",
    "an unknown health": "health = 'tired'",
    "throttled without an end": "health = 'throttled'",
    "ready with an end": f"health_until = '{AT}'",
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_delivery_that_cannot_be_is_refused_by_the_database(what):
    connect()
    post()
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(f"UPDATE ledger_delivery SET {IMPOSSIBLE[what]}")
    assert Delivery.objects.get().state == "queued"


@pytest.mark.parametrize("what", POSSIBLE)
def test_a_delivery_that_can_be_is_kept(what):
    connect()
    post()
    sql(f"UPDATE ledger_delivery SET {POSSIBLE[what]}")
    assert Delivery.objects.get().state != "queued"


@pytest.mark.parametrize("what", CONNECTIONS)
def test_a_connection_that_cannot_be_is_refused_by_the_database(what):
    connect()
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(f"UPDATE ledger_connection SET {CONNECTIONS[what]}")
    assert Connection.objects.get().port == 587


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_instance SET id = 2",
        "UPDATE ledger_instance SET default_mode = 'perhaps'",
        "UPDATE ledger_stream SET on_doubt = 'perhaps'",
        "UPDATE ledger_message SET on_doubt = 'perhaps'",
        "UPDATE ledger_connection SET name_key = 'the same'",
        "UPDATE ledger_chunk SET position = 0",
    ],
)
def test_other_rows_that_cannot_be_are_refused_too(statement):
    connect("One", is_default=True)
    connect("Two")
    accept(submission(body="x" * 600_000), NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(statement)
    assert Connection.objects.count() == 2


def test_the_models_and_the_migrations_say_the_same():
    call_command("makemigrations", "ledger", "--check", "--dry-run", "--skip-checks", verbosity=0)


@pytest.mark.skipif(on_postgresql(), reason="PostgreSQL makes no table for a list")
def test_nothing_on_the_way_of_a_message_has_sqlite_make_a_table_for_a_list_of_words():
    tables = [f"ledger_{name}" for name in ("message", "chunk", "delivery", "attempt", "event")]
    found = sql("SELECT tbl_name, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    lists = [(table, name) for table, name, made in found if table in tables and " IN (" in made]
    assert lists == []
    assert {table for table, _, _ in found} >= {*tables}
