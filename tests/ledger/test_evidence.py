"""D6: what a courier knew and could not record is settled later, once, and nothing else is touched."""

import json
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    claimed,
    connect,
    events,
    later,
    lease_of,
    lose_lease,
    only,
    post,
    report,
    settle,
    staged,
)
from vaguemestre.ledger import allowance, connections, messages, queue, recovery, rerouting
from vaguemestre.ledger.evidence import Entry, entry_of, replay
from vaguemestre.ledger.models import Attempt, Delivery, Use
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

OK = Reply(250, "2.0.0 Ok: queued as 4711")
NO = Reply(554, "5.7.1 No spam here")
TROUBLE = {"phase": "content", "cause": "reply", "row": 16, "why": "message_refused", "facts": {}}
SOON = later(seconds=30)


def read_back(done):
    """The entry of a report, as a file gives it back."""
    return Entry.from_json(json.loads(json.dumps(entry_of(done).as_json())))


def accepted_unseen(**values):
    """A server accepted a message, and the ledger was away."""
    office = connect(**values)
    message = post()
    _, claim = staged(office)
    return office, message, report(claim, DeliveryState.ACCEPTED, NOW, OK)


def recovered(office):
    """Another courier takes the lane over, and knows nothing."""
    lose_lease(office)
    lease = lease_of(office, "another-courier", SOON)
    recovery.recover(lease, SOON)
    return lease


def test_an_entry_is_read_back_as_it_was():
    _, _, done = accepted_unseen()
    assert read_back(done) == entry_of(done)


@pytest.mark.parametrize("line", [{}, {"attempt": "x"}, [], None, {"attempt": str(uuid4()), "endings": [{}]}])
def test_what_is_no_entry_is_refused(line):
    with pytest.raises(ValueError, match=r".+"):
        Entry.from_json(line)


def test_d6_what_the_server_accepted_is_accepted_when_the_ledger_is_back():
    _, message, done = accepted_unseen()
    assert replay([read_back(done)], SOON) == 1
    delivery = only(message)
    assert (delivery.state, delivery.settled_at, delivery.last_code) == ("accepted", NOW, 250)
    assert (delivery.lane_epoch, delivery.staged_at) == (None, None)
    event = events(delivery)[-1]
    assert (event.state, event.at, event.attempt.hex) == ("accepted", SOON, done.claim.attempt)
    assert event.detail == {
        "code": "evidence",
        "reply": {"code": 250, "text": OK.text},
        "trouble": None,
        "ended_at": NOW.isoformat(),
    }
    attempt = Attempt.objects.get(uid=done.claim.attempt)
    assert (attempt.staged_at, attempt.ended_at, attempt.peer, attempt.steps) == (NOW, NOW, "192.0.2.1", [])


def test_d6_it_is_accepted_too_where_another_courier_had_put_it_in_doubt():
    office, message, done = accepted_unseen()
    recovered(office)
    assert only(message).state == "in_doubt"
    assert replay([read_back(done)], SOON) == 1
    assert (only(message).state, only(message).doubts) == ("accepted", 0)


def test_replayed_twice_it_is_settled_once():
    _, message, done = accepted_unseen()
    replay([read_back(done)], SOON)
    before = events(only(message))
    assert replay([read_back(done), read_back(done)], SOON) == 0
    assert events(only(message)) == before
    assert Attempt.objects.count() == 1


def test_what_was_recorded_after_all_stays_as_it_is():
    office, message, done = accepted_unseen()
    settle(lease_of(office), done, NOW)
    assert replay([read_back(done)], SOON) == 0
    assert len(events(only(message))) == 2


def test_what_was_claimed_again_is_left_to_that_attempt():
    office, message, done = accepted_unseen()
    lease = recovered(office)
    again = later(minutes=11)
    (claim,) = queue.claim(lease, 10, again)
    assert replay([read_back(done)], again) == 0
    assert (only(message).state, only(message).attempt.hex) == ("claimed", claim.attempt)


@pytest.mark.parametrize(("outcome", "state"), [("arrived", "accepted"), ("send_again", "queued")])
def test_what_a_person_answered_stays_so(outcome, state):
    office, message, done = accepted_unseen()
    recovered(office)
    messages.resolve(str(message.uid), outcome, ACTOR, SOON)
    assert replay([read_back(done)], SOON) == 0
    assert only(message).state == state


def test_what_the_server_refused_is_refused_and_its_doubt_is_gone():
    office, message, _ = accepted_unseen()
    claim = claim_of(message)
    done = report(claim, DeliveryState.REFUSED, NOW, NO, trouble=TROUBLE)
    recovered(office)
    assert replay([read_back(done)], SOON) == 1
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.trouble, delivery.last_text) == (
        "refused",
        0,
        TROUBLE,
        NO.text,
    )


def claim_of(message):
    """The claim that holds a message's only delivery."""
    delivery = only(message)
    duty = queue.Duty(delivery.pk, delivery.recipient, 0, 0.0, delivery.retry_age, delivery.doubts)
    return queue.Claim(delivery.attempt.hex, delivery.message_id, delivery.route, 1, (duty,))


def test_what_the_server_deferred_waits_as_it_would_have():
    _, message, done = accepted_unseen()
    deferred = report(
        done.claim, DeliveryState.QUEUED, NOW, Reply(450, "later"), trouble=TROUBLE, delay=60.0, counted=True,
        delay_until=later(seconds=60),
    )  # fmt: skip
    assert replay([read_back(deferred)], SOON) == 1
    delivery = only(message)
    assert (delivery.state, delivery.next_attempt_at) == ("queued", later(seconds=60))
    assert (delivery.counted, delivery.spent) == (1, 60.0)
    assert events(delivery)[-1].detail["next"] == later(seconds=60).isoformat()


def test_what_the_server_deferred_goes_where_routing_says_by_then():
    """While it was in doubt, its connection was switched off: it must not wait there for ever."""
    office, message, done = accepted_unseen()
    recovered(office)
    connections.deactivate(str(office.uid), ACTOR, SOON)
    rerouting.reroute(SOON)
    assert only(message).state == "in_doubt"
    deferred = report(done.claim, DeliveryState.QUEUED, NOW, Reply(450, "later"), trouble=TROUBLE)
    assert replay([read_back(deferred)], SOON) == 1
    assert rerouting.reroute(SOON) == 1
    assert only(message).state == "held"


def test_a_doubt_keeps_its_reason_and_its_time():
    office, message, done = accepted_unseen()
    doubtful = report(done.claim, DeliveryState.IN_DOUBT, NOW, None, doubt="timeout")
    assert replay([read_back(doubtful)], SOON) == 1
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.doubt_reason) == ("in_doubt", 1, "timeout")
    assert delivery.next_attempt_at == later(minutes=10)
    assert replay([read_back(doubtful)], SOON) == 0
    assert office.pk == delivery.connection_id


def test_a_retry_of_a_doubt_that_was_refused_returns_to_doubt():
    office, message, done = accepted_unseen()
    settle(lease_of(office), report(done.claim, DeliveryState.IN_DOUBT, NOW, doubt="timeout"), NOW)
    again = later(minutes=11)
    _, claim = staged(office, again)
    refused = report(claim, DeliveryState.IN_DOUBT, again, NO, trouble=TROUBLE)
    assert replay([read_back(refused)], again) == 1
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 1, None)


def retried_unseen():
    """A retry of a doubt was deferred, the ledger was away, and another courier recovered the lane."""
    office, message, done = accepted_unseen()
    settle(lease_of(office), report(done.claim, DeliveryState.IN_DOUBT, NOW, doubt="timeout"), NOW)
    again = later(minutes=11)
    _, claim = staged(office, again)
    deferred = report(
        claim, DeliveryState.IN_DOUBT, again, Reply(450, "later"), trouble=TROUBLE, delay=60.0, counted=True,
        delay_until=later(minutes=12),
    )  # fmt: skip
    lose_lease(office)
    recovery.recover(lease_of(office, "another-courier", again), again)
    assert (only(message).doubts, only(message).next_attempt_at) == (2, None)
    return office, message, read_back(deferred)


def test_a_retry_of_a_doubt_that_was_deferred_is_no_second_doubt_though_another_courier_took_it_for_one():
    _, message, deferred = retried_unseen()
    assert replay([deferred], SOON) == 1
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 1, later(minutes=12))
    assert replay([deferred], SOON) == 0


def test_such_a_retry_waits_for_a_person_where_routing_would_answer_otherwise_by_then():
    office, message, deferred = retried_unseen()
    connections.deactivate(str(office.uid), ACTOR, SOON)
    rerouting.reroute(SOON)
    assert replay([deferred], SOON) == 1
    assert rerouting.reroute(SOON) == 1
    assert (only(message).state, only(message).next_attempt_at) == ("in_doubt", None)


@pytest.mark.parametrize(
    "impossible",
    [
        {"state": DeliveryState.QUEUED, "next_attempt_at": None},  # the database refuses it
        {"counted": "many"},  # as another version's file may say
    ],
)
def test_what_can_never_be_settled_keeps_nothing_else_from_being_settled(impossible):
    office, message, done = accepted_unseen()
    impossible = replace(entry_of(done).endings[0], **impossible)
    odd = replace(entry_of(done), endings=(impossible,))
    assert replay([odd, entry_of(done)], SOON) == 1
    assert only(message).state == "accepted"
    assert office.pk == only(message).connection_id


def test_each_recipient_of_an_attempt_is_settled_as_the_server_answered():
    office = connect()
    message = post("one@example.com", "two@example.com")
    _, claim = staged(office)
    done = report(claim, DeliveryState.ACCEPTED, NOW, OK)
    one, two = done.settlements
    mixed = replace(
        done, settlements=(one, replace(two, state=DeliveryState.REFUSED, reply=NO, trouble=TROUBLE))
    )
    assert replay([read_back(mixed)], SOON) == 2
    assert sorted(Delivery.objects.filter(message=message).values_list("state", flat=True)) == [
        "accepted",
        "refused",
    ]
    assert Attempt.objects.count() == 1


def test_its_tokens_come_back_after_its_own_end():
    office, _, done = accepted_unseen(limits={"per_minute": 5})
    replay([read_back(done)], SOON)
    assert Use.objects.get().at == NOW
    assert allowance.allowance(office.pk, later(minutes=1)).messages == 5


def test_tokens_of_what_offered_nothing_are_back_at_once():
    office, _, done = accepted_unseen(limits={"per_minute": 5})
    queued = report(done.claim, DeliveryState.QUEUED, NOW)
    replay([read_back(replace(queued, offered=False))], SOON)
    assert not Use.objects.exists()
    assert office.pk


def test_what_it_settles_is_routed_and_claimed_like_any_other():
    office, message, done = accepted_unseen(is_default=True)
    replay([read_back(report(done.claim, DeliveryState.QUEUED, NOW))], SOON)
    connect("Unrelated")
    rerouting.reroute(SOON)
    _, claim = claimed(office, SOON)
    assert [duty.id for duty in claim.duties] == [only(message).pk]


@pytest.mark.django_db(transaction=True)
def test_a_courier_that_recovers_the_lane_at_the_same_time_leaves_no_doubt():
    for number in range(10):
        office, message, done = accepted_unseen(name=f"Office {number}", is_default=True)
        lose_lease(office)
        lease = lease_of(office, "another-courier", SOON)
        jobs = [partial(replay, [read_back(done)], SOON), partial(recovery.recover, lease, SOON)]
        answers = at_once(jobs if number % 2 else jobs[::-1])
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        assert only(message).state == "accepted"
