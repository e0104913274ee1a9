"""JSON that we alone write is read by nobody on its way into the ledger, and comes out as it went in."""

import sqlite3
from contextlib import closing
from importlib import import_module

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ledger.kit import NOW, accepted, connect, on_postgresql, post, sql
from vaguemestre.ledger.models import Attempt, Delivery, Event, Message

pytestmark = pytest.mark.django_db(transaction=True)

_migration = import_module("vaguemestre.ledger.migrations.0029_unread_columns")


def there(name):
    MigrationExecutor(connection).migrate([("ledger", name)])


def back():
    """With all that came since, at which the tests' models are."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("ledger"))


def there_and_back():
    there("0025_quick_indexes")
    back()


def checks():
    """How many columns SQLite reads of messages and deliveries, to check them."""
    found = sql("SELECT sql FROM sqlite_master WHERE name IN ('ledger_message', 'ledger_delivery')")
    return sorted(text.count("JSON_VALID") for (text,) in found)


def kept():
    return (
        list(Attempt.objects.order_by("pk").values()),
        list(Event.objects.order_by("pk").values()),
    )


@pytest.mark.skipif(on_postgresql(), reason="there they are jsonb, and nothing changes")
def test_both_are_copied_as_they_are_and_no_number_is_used_again():
    office = connect()
    post()
    accepted(office)
    last = Event.objects.latest("pk")
    Event.objects.filter(pk=last.pk).delete()
    before = kept()
    assert all(before)
    there_and_back()
    assert kept() == before
    checks = sql("SELECT sql FROM sqlite_master WHERE name IN ('ledger_attempt', 'ledger_event')")
    assert [("JSON_VALID" in text) for (text,) in checks] == [False, False]
    again = Event.objects.create(delivery_id=last.delivery_id, at=NOW, state="accepted", detail={"é": [None]})
    assert again.pk == last.pk + 1
    again.delete()
    there_and_back()
    again = Event.objects.create(delivery_id=last.delivery_id, at=NOW, state="accepted", detail={"é": [None]})
    assert again.pk == last.pk + 2
    assert Event.objects.get(detail__é__0=None).pk == again.pk


@pytest.mark.skipif(on_postgresql(), reason="there they are jsonb, and nothing changes")
def test_of_messages_and_deliveries_the_checks_alone_change_and_every_connection_knows():
    connect()
    post(tags=("é",), metadata={"a": "b"})
    before = [*Message.objects.values(), *Delivery.objects.values()]
    spoilt = ("UPDATE ledger_message SET tags = '{'", "UPDATE ledger_delivery SET route = '{'")
    with closing(sqlite3.connect(connection.settings_dict["NAME"], autocommit=True)) as other:
        there("0028_delay_notices")
        try:
            assert checks() == [2, 4]
            for statement in spoilt:
                with pytest.raises(sqlite3.IntegrityError, match="JSON_VALID"):
                    other.execute(statement)
        finally:
            back()
        assert checks() == [0, 0]
        other.execute("BEGIN")
        assert [other.execute(statement).rowcount for statement in spoilt] == [1, 1]
        other.execute("ROLLBACK")
    assert [*Message.objects.values(), *Delivery.objects.values()] == before
    assert sql("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(on_postgresql(), reason="there they are jsonb, and nothing changes")
def test_a_sqlite_that_forbids_its_definitions_to_be_written_keeps_its_checks():
    there("0028_delay_notices")
    connection.connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    try:
        back()
        assert checks() == [2, 4]
    finally:
        connection.connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, False)
        with connection.schema_editor() as editor:
            _migration.redefine(editor, lambda plain, checked: (checked, plain))
    assert checks() == [0, 0]
