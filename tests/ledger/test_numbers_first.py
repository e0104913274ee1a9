"""SQLite looks through the numbers of all tables for those of one: a message's come first, and stay as they are."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ledger.kit import connect, on_postgresql, post, sql
from vaguemestre.ledger.models import Attempt, Chunk, Delivery, Event, Handover, Message

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(on_postgresql(), reason="PostgreSQL has a sequence for each table"),
]


def numbers():
    return sql("SELECT name, seq FROM sqlite_sequence WHERE name <> 'django_migrations' ORDER BY rowid")


def migrate(*targets):
    executor = MigrationExecutor(connection)
    executor.migrate(targets or executor.loader.graph.leaf_nodes("ledger"))


def test_what_each_message_asks_for_is_found_before_all_others():
    """Also behind what is yet to be migrated: a table that is copied goes to the end."""
    each = {model._meta.db_table for model in (Message, Delivery, Event, Chunk, Handover, Attempt)}
    assert {name for name, _ in numbers()[: len(each)]} == each


def test_a_table_that_was_at_the_end_comes_first_and_goes_on_with_its_number():
    connect()
    post()
    last = Message.objects.get().pk
    migrate(("ledger", "0029_unread_columns"))
    sql("UPDATE sqlite_sequence SET rowid = 4711 WHERE name = 'ledger_message'")
    before = dict(numbers())
    sql("DELETE FROM sqlite_sequence WHERE name IN ('ledger_attempt', 'ledger_event')")
    migrate()
    assert dict(numbers()) == {**before, "ledger_attempt": 0}
    test_what_each_message_asks_for_is_found_before_all_others()
    Message.objects.all().delete()
    post()
    assert Message.objects.get().pk == last + 1
