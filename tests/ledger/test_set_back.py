"""A clock that was set back by a day: nothing waits a day for it."""

from datetime import timedelta

import pytest

from ledger.kit import (
    ACTOR,
    NOW,
    claimed,
    connect,
    fresh,
    in_doubt,
    later,
    lease_of,
    on_postgresql,
    only,
    post,
    report,
    settle,
)
from vaguemestre.ledger import connections, lanes, leases, rerouting, set_back
from vaguemestre.ledger.models import Connection, Courier, Lane
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.schedule import RetrySchedule

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
SCHEDULE = RetrySchedule()


def due_at(office, at):
    return bool(lanes.survey(at)[0].due)


def test_what_was_never_tried_is_due_at_once():
    office = connect()
    post()
    assert set_back.seen(NOW - DAY) == DAY
    assert not due_at(office, NOW - DAY)
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 1
    assert due_at(office, NOW - DAY)
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 0


def test_a_time_that_a_submitter_named_stays():
    connect()
    message = post(send_at=later(hours=3))
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 0
    assert only(message).next_attempt_at == later(hours=3)


def test_a_time_that_a_submitter_named_stays_whatever_was_decided_since_by_the_clock_that_was_ahead():
    office = connect()
    message = post(send_at=later(hours=3))
    connections.edit(str(office.uid), {"active": False}, ACTOR, NOW + DAY)
    rerouting.reroute(NOW + DAY)
    assert only(message).state == "held"
    set_back.bring_forward(NOW, SCHEDULE)
    assert only(message).next_attempt_at == later(hours=3)


def test_what_a_server_wants_later_than_the_schedule_is_not_sooner_for_a_small_step():
    office = connect()
    message = post()
    lease, claim = claimed(office)
    named = report(claim, DeliveryState.QUEUED, delay_until=later(hours=2), delay=7200.0, counted=True)
    settle(lease, named, NOW)
    assert set_back.bring_forward(later(minutes=1), SCHEDULE) == 0, "a minute on, and set back by 10 s"
    assert only(message).next_attempt_at == later(hours=2)


def test_what_a_lane_put_off_without_counting_is_due_at_once():
    office = connect()
    post()
    lease, claim = claimed(office)
    settle(lease, report(claim, DeliveryState.QUEUED), NOW)
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 1
    assert due_at(office, NOW - DAY)


def test_what_was_deferred_waits_as_long_as_the_schedule_has_it_and_no_longer():
    office = connect()
    post()
    lease, claim = claimed(office)
    delayed = report(claim, DeliveryState.QUEUED, delay_until=later(seconds=60), delay=60.0, counted=True)
    settle(lease, delayed, NOW)
    assert set_back.bring_forward(NOW, SCHEDULE) == 0, "the clock is as it was"
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 1
    assert not due_at(office, NOW - DAY + timedelta(seconds=60))
    assert due_at(office, NOW - DAY + timedelta(seconds=73))


def test_a_doubt_is_not_tried_before_its_time():
    office = connect()
    post()
    in_doubt(office)
    set_back.bring_forward(NOW - DAY, SCHEDULE)
    assert not due_at(office, NOW - DAY + timedelta(minutes=10))
    assert due_at(office, NOW - DAY + timedelta(hours=5))


def test_what_is_tried_for_days_comes_within_the_longest_delay():
    office = connect()
    delivery = only(post())
    type(delivery).objects.update(counted=30, next_attempt_at=later(hours=4))
    assert set_back.bring_forward(NOW - DAY, SCHEDULE) == 1
    assert due_at(office, NOW - DAY + timedelta(hours=5))


def test_a_throttle_ends_as_much_sooner():
    office = connect()
    Connection.objects.update(health="throttled", health_until=later(minutes=4), health_since=NOW)
    set_back.end_sooner([office.pk], DAY, NOW - DAY)
    found = fresh(office)
    assert (found.health_until, found.health_since) == (later(minutes=4) - DAY, NOW - DAY)


def test_a_throttle_of_before_the_clock_was_ahead_lasts_as_long_as_the_server_wants():
    office = connect()
    Connection.objects.update(health="throttled", health_until=later(minutes=59), health_since=NOW)
    set_back.end_sooner([office.pk], timedelta(hours=1), later(minutes=5))
    assert fresh(office).health_until == later(minutes=59), "an hour ahead, and back"
    Connection.objects.update(health_until=later(minutes=90))
    set_back.end_sooner([office.pk], timedelta(hours=1), later(minutes=5))
    assert fresh(office).health_until == later(minutes=30), "put off anew while it was"


@pytest.mark.skipif(on_postgresql(), reason="its leases are by the server's clock")
def test_a_dead_couriers_lease_lasts_as_long_as_any_other():
    office = connect()
    lease_of(office)
    assert leases.take("two", NOW - DAY) == []
    assert leases.take("two", NOW - DAY + timedelta(seconds=15)) == []
    assert [lease.epoch for lease in leases.take("two", NOW - DAY + timedelta(seconds=16))] == [2]
    assert Lane.objects.get().holder == "two"


@pytest.mark.skipif(on_postgresql(), reason="its beats are by the server's clock")
def test_a_beat_of_tomorrow_does_not_say_that_a_courier_lives():
    Courier.objects.create(holder="x", beat_at=NOW)
    assert leases.courier_alive(NOW)
    assert not leases.courier_alive(NOW - DAY)
