"""What waits for a person: the latest of it is found, however its number came about."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger.kit import NOW, connect, content, on_postgresql, post, submission
from vaguemestre.ledger import accept, messages, unattended
from vaguemestre.ledger.models import Chunk, Delivery, Message, Parcel
from vaguemestre.ledger.parcels import Parcel as Arrived
from vaguemestre.ledger.told import Waiting
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db


def post_in_pieces():
    """A message whose number is below zero."""
    made = content()
    row = Parcel.objects.create(at=NOW)
    Chunk.objects.create(message_id=-row.pk, position=0, data=made.raw)
    parcel = Arrived(row.pk, len(made.raw), made.sha256)
    message = accept.accept(submission(content=made, parcel=parcel), NOW)
    assert message.pk < 0
    return message


def test_nothing_waits_where_nothing_is_held():
    assert unattended.newest_held() is None


def test_the_latest_of_what_is_held_is_found_among_messages_that_came_in_pieces():
    for posted in (post, post_in_pieces, post_in_pieces, post, post_in_pieces):
        message = posted()
        held = unattended.newest_held()
        assert (held.message, held.reason["code"]) == (str(message.uid), "no_active_connection")
        assert held.delivery == Delivery.objects.get(message=message).pk
    assert Message.objects.filter(pk__lt=0).count() == 3


def test_what_is_held_is_taken_once_until_something_newer_is():
    """Whoever asks, and however often couriers start again."""
    assert unattended.take_held() is None
    for posted in (post, post_in_pieces):
        message = posted()
        taken = [unattended.take_held() for _ in range(2)]
        assert [held and held.message for held in taken] == [str(message.uid), None]
    assert unattended.take_doubt() is None


def test_of_two_that_look_at_once_one_takes_what_is_held():
    post()
    newest = unattended.newest_held()
    took = [unattended._taken(Waiting.HELD, newest) for _ in range(2)]
    assert took == [newest, None]


def test_a_doubt_is_taken_apart_from_what_is_held():
    held = post()
    connect()
    doubtful = post()
    ended = {"state": "in_doubt", "doubts": 1, "doubt_reason": "timeout", "next_attempt_at": None}
    Delivery.objects.filter(message=doubtful).update(**ended)
    assert unattended.take_held().message == str(held.uid)
    assert unattended.take_doubt().message == str(doubtful.uid)
    assert unattended.take_doubt() is None


def test_what_comes_to_wait_once_nothing_did_is_told_though_its_number_is_below_what_was():
    first, second = post(), post()
    assert unattended.take_held().message == str(second.uid)
    Delivery.objects.filter(message=second).update(state="cancelled", settled_at=NOW, next_attempt_at=None)
    Delivery.objects.filter(message=first).update(state="cancelled", settled_at=NOW, next_attempt_at=None)
    assert unattended.take_held() is None
    Delivery.objects.filter(message=first).update(state="held", settled_at=None)
    assert unattended.take_held().message == str(first.uid)
    assert unattended.take_held() is None


@pytest.mark.skipif(on_postgresql(), reason="a small table is read whole")
@pytest.mark.parametrize("statement", [unattended._HELD, unattended._IN_DOUBT, messages._FOR_PEOPLE])
def test_what_waits_for_people_is_looked_for_neither_in_what_was_sent_nor_in_what_waits(statement):
    """Asked every five seconds, and by every page: a million messages must not be read for it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "delivery_doubts" in plan or "delivery_held" in plan
    assert "delivery_routes" not in plan
    assert not re.search(r"SCAN (d|ledger_delivery)( |$)(?!USING)", plan)


@pytest.mark.skipif(on_postgresql(), reason="a small table is read whole")
def test_what_ended_is_not_counted_to_know_how_much_waits():
    with CaptureQueriesContext(connection) as asked:
        messages.depths()
        messages.oldest(DeliveryState.CLAIMED)
    for one in asked.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {one['sql']}")
            assert re.search("ledger_delivery USING (COVERING )?INDEX delivery_", cursor.fetchall()[0][3])
