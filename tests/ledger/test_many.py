"""Deciding about many held messages does to each of them what deciding about it alone does."""

import pytest

from ledger.kit import ACTOR, NOW, connect, events, later, lease_of, only, post
from vaguemestre.ledger import connections, many, messages, queue, wake
from vaguemestre.ledger.models import Delivery, WaitStart

pytestmark = pytest.mark.django_db


@pytest.fixture
def office():
    """A connection that serves again, and that two held messages of before are not routed to yet."""
    office = connect()
    connections.edit(str(office.uid), {"active": False}, ACTOR, NOW)
    post()
    post()
    Delivery.objects.update(backup_for=office)
    connections.edit(str(office.uid), {"active": True}, ACTOR, NOW)
    return office


def columns(delivery):
    return {
        name: value for name, value in vars(delivery).items() if name not in {"_state", "id", "message_id"}
    }


def decided(alone, together, monkeypatch):
    """What is known of both deliveries, once each was decided about by its own way."""
    rings = []
    monkeypatch.setattr(wake, "ring", lambda: rings.append("ring"))
    one, other = [found.message for found in Delivery.objects.select_related("message").order_by("pk")]
    alone(str(one.uid), ACTOR, later(hours=1))
    rung = rings.copy()
    together([other.uid], ACTOR, later(hours=1))
    assert rings == rung * 2
    told = [(events(found)[-1].at, events(found)[-1].detail) for found in (only(one), only(other))]
    waits = [
        WaitStart.objects.filter(delivery=found).values_list("since") for found in (only(one), only(other))
    ]
    return [(columns(only(one)), told[0], [*waits[0]]), (columns(only(other)), told[1], [*waits[1]])]


def test_l3_what_is_released_together_is_released_as_one_alone_and_leaves_by_the_present_epoch(
    office, monkeypatch
):
    alone, together = decided(messages.release, many.release, monkeypatch)
    assert together == alone
    assert len(queue.claim(lease_of(office, now=later(hours=1)), 10, later(hours=1))) == 2


def test_what_is_cancelled_together_is_cancelled_as_one_alone(office, monkeypatch):
    alone, together = decided(messages.cancel, many.cancel, monkeypatch)
    assert together == alone
