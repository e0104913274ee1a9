"""Transcripts and events are read by nobody on their way into the ledger, and come out as they went in."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ledger.kit import NOW, accepted, connect, on_postgresql, post, sql
from vaguemestre.ledger.models import Attempt, Event

pytestmark = pytest.mark.django_db(transaction=True)


def there_and_back():
    """To the state before, and with all that came since, at which the tests' models are."""
    MigrationExecutor(connection).migrate([("ledger", "0025_quick_indexes")])
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("ledger"))


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
