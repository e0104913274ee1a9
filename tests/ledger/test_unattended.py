"""What waits for a person: the latest of it is found, however its number came about."""

import pytest

from ledger.kit import NOW, content, post, submission
from vaguemestre.ledger import accept, unattended
from vaguemestre.ledger.models import Chunk, Delivery, Message, Parcel
from vaguemestre.ledger.parcels import Parcel as Arrived

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
