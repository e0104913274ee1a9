"""Which ends of deliveries are to be reported, on every way by which they end."""

import dataclasses

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from ledger.kit import (
    ACTOR,
    NOW,
    claimed,
    connect,
    deliveries,
    later,
    lease_of,
    lose_lease,
    only,
    post,
    report,
    settle,
    staged,
)
from vaguemestre.ledger import keys, messages, queue, recovery, rerouting
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.evidence import entry_of, replay
from vaguemestre.ledger.models import Chunk
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

NO = Reply(550, "5.1.1 No such user")
OK = Reply(250, "2.0.0 Ok")
REFUSED, EXPIRED, ACCEPTED = DeliveryState.REFUSED, DeliveryState.EXPIRED, DeliveryState.ACCEPTED


def handed_over(*recipients, notify="", **values):
    """A message taken by SMTP."""
    asked = dict.fromkeys(recipients or ("to@example.com",), notify)
    return post(*asked, **{"via": Via.SMTP, "notify": asked} | values)


def ended(state, reply=NO, **values):
    """A message taken by SMTP whose every delivery a courier ended so."""
    office = connect()
    message = handed_over(**values)
    lease, claim = staged(office)
    settle(lease, report(claim, state, NOW, reply), NOW)
    return message


def due(message):
    return [delivery.dsn_due for delivery in deliveries(message)]


@pytest.mark.parametrize("state", [REFUSED, EXPIRED])
def test_what_a_courier_refused_or_gave_up_is_due(state):
    assert due(ended(state)) == [True]


@pytest.mark.parametrize(
    ("notify", "state", "expected"),
    [
        ("", REFUSED, True),
        ("FAILURE", REFUSED, True),
        ("SUCCESS,FAILURE", EXPIRED, True),
        ("NEVER", REFUSED, False),
        ("SUCCESS", REFUSED, False),
        ("DELAY", EXPIRED, False),
        ("", ACCEPTED, False),
        ("FAILURE", ACCEPTED, False),
        ("SUCCESS", ACCEPTED, True),
        ("SUCCESS,DELAY", ACCEPTED, True),
        ("NEVER", ACCEPTED, False),
    ],
)
def test_notify_decides_what_is_due(notify, state, expected):
    assert due(ended(state, OK if state is ACCEPTED else NO, notify=notify)) == [expected]


def test_of_several_recipients_only_the_refused_one_is_due():
    office = connect()
    message = handed_over("one@example.com", "two@example.com", "three@example.com")
    lease, claim = staged(office)
    done = report(claim, ACCEPTED, NOW, OK)
    refused = dataclasses.replace(done.settlements[1], state=REFUSED, reply=NO)
    mixed = (done.settlements[0], refused, done.settlements[2])
    settle(lease, dataclasses.replace(done, settlements=mixed), NOW)
    assert due(message) == [False, True, False]


def test_a_null_reverse_path_is_never_reported_to():
    assert due(ended(REFUSED, reverse_path=None)) == [False]


@pytest.mark.parametrize("via", [via for via in Via if via is not Via.SMTP])
def test_what_came_by_another_door_is_not_reported(via):
    assert due(ended(REFUSED, via=via, notify="SUCCESS,FAILURE")) == [False]


@pytest.mark.parametrize(("wanted", "expected"), [(True, [True]), (False, [False])])
def test_a_key_may_switch_the_reports_off(wanted, expected):
    key, _ = keys.create("ERP", ["send"], ACTOR, NOW)
    type(key).objects.filter(pk=key.pk).update(dsn=wanted)
    assert due(ended(REFUSED, submitter=key)) == expected


def test_the_server_s_answer_found_later_is_reported_too():
    office = connect()
    message = handed_over()
    _, claim = staged(office)
    done = report(claim, REFUSED, NOW, NO)
    lose_lease(office)
    recovery.recover(lease_of(office, "another-courier", later(seconds=30)), later(seconds=30))
    assert (only(message).state, due(message)) == ("in_doubt", [False])
    replay([entry_of(done)], later(seconds=31))
    assert (only(message).state, due(message)) == ("refused", [True])


def test_what_its_submitter_wanted_ended_by_now_is_reported():
    message = handed_over(expires_at=later(minutes=1))
    rerouting.expire(later(minutes=2))
    assert (only(message).state, due(message)) == ("expired", [True])


def test_what_retention_took_before_it_left_is_reported():
    office = connect()
    message = handed_over()
    lease, claim = claimed(office)
    Chunk.objects.all().delete()
    recovery.refuse_gone(lease, claim, NOW)
    assert (only(message).state, due(message)) == ("expired", [True])


def test_what_a_person_cancelled_is_not_reported():
    connect()
    message = handed_over()
    messages.cancel(str(message.uid), ACTOR, NOW)
    assert due(message) == [False]


def test_a_deferral_is_not_reported():
    office = connect()
    message = handed_over(notify="FAILURE,DELAY")
    lease, claim = claimed(office)
    settle(lease, report(claim, DeliveryState.QUEUED, NOW, Reply(450, "4.2.1 busy")), NOW)
    assert due(message) == [False]


def test_settling_what_was_accepted_asks_nothing_more_of_the_database():
    office = connect()
    counts = []
    for state, reply in ((ACCEPTED, OK), (REFUSED, NO)):
        for _ in range(2):
            handed_over()
        lease = lease_of(office)
        done = [report(claim, state, NOW, reply) for claim in queue.claim(lease, 100, NOW)]
        with CaptureQueriesContext(database) as statements:
            queue.record(lease, [], done, NOW)
        assert len(done) == 2
        counts.append(sum("dsn_due" in statement["sql"] for statement in statements))
    assert counts == [0, 1]
