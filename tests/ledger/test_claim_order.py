"""What is due on a lane is claimed in the order of its acceptance, and what comes back takes its place again."""

import random
from datetime import timedelta

import pytest

from ledger.kit import at_once, connect, later, lease_of, lose_lease, post, report, settle
from vaguemestre.ledger import queue, recovery
from vaguemestre.ledger.models import Delivery
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db


def taken(lease, limit, now):
    return [claim.message_id for claim in queue.claim(lease, limit, now)]


def test_claims_of_any_size_follow_the_order_of_acceptance():
    office, _ = connect("Office"), connect("Other")
    accepted = [
        post(now=later(milliseconds=n), connection="Other" if n % 3 == 0 else "Office").pk
        for n in range(1, 30)
    ]
    wanted = [key for n, key in enumerate(accepted, 1) if n % 3]
    lease, found = lease_of(office), []
    for limit in (1, 2, 3, 5, 8, 13):
        found += taken(lease, limit, later(seconds=1))
    assert found == wanted


def test_what_was_accepted_in_one_moment_is_claimed_in_the_order_of_that_transaction():
    office = connect()
    accepted = [post(f"a{n}@example.com", f"b{n}@example.com").pk for n in range(10)]
    assert taken(lease_of(office), 100, later(seconds=1)) == accepted


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_recipients_that_are_due_in_another_order_are_claimed_once_and_together(limit):
    """Retries have times of their own: the one who is due last has not the highest number."""
    office = connect()
    message = post(*[f"{n}@example.com" for n in range(6)])
    for place, delivery in enumerate(Delivery.objects.order_by("-id")):
        Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=later(seconds=place))
    (claim,) = queue.claim(lease_of(office), limit, later(minutes=1))
    assert claim.message_id == message.pk
    assert sorted(duty.recipient for duty in claim.duties) == [f"{n}@example.com" for n in range(6)]


def test_what_is_put_back_is_claimed_again_before_what_was_accepted_after_it():
    office = connect()
    first = [post(now=later(seconds=n)).pk for n in range(3)]
    lease = lease_of(office)
    claims = queue.claim(lease, 10, later(seconds=5))
    second = [post(now=later(seconds=6 + n)).pk for n in range(2)]
    recovery.put_back(lease, claims, later(seconds=10))
    assert taken(lease, 10, later(seconds=11)) == first + second


def test_what_a_courier_that_died_had_claimed_is_claimed_again_in_its_place():
    office = connect()
    first = [post(now=later(seconds=n)).pk for n in range(3)]
    queue.claim(lease_of(office), 10, later(seconds=5))
    second = post(now=later(seconds=6)).pk
    lose_lease(office)
    lease = lease_of(office, "the-next-courier", later(minutes=1))
    recovery.recover(lease, later(minutes=1))
    assert taken(lease, 10, later(minutes=1)) == [*first, second]


def test_a_retry_waits_for_its_time_and_keeps_nobody_waiting():
    office = connect()
    first, second, third = (post(now=later(seconds=n)).pk for n in range(3))
    lease = lease_of(office)
    (claim,) = queue.claim(lease, 1, later(seconds=5))
    settle(lease, _deferred(claim, 60), later(seconds=5))
    assert taken(lease, 1, later(seconds=6)) == [second]
    fourth = post(now=later(seconds=90)).pk
    assert taken(lease, 10, later(seconds=95)) == [third, first, fourth]


def _deferred(claim, delay):
    until = later(seconds=5) + timedelta(seconds=delay)
    return report(claim, DeliveryState.QUEUED, delay=float(delay), counted=True, delay_until=until)


@pytest.mark.parametrize("seed", range(5))
def test_several_groups_in_flight_some_deferred_are_claimed_by_the_time_they_are_due(seed):
    dice, office = random.Random(seed), connect()
    lease, now, waiting, flying = lease_of(office), later(), {}, []
    for _ in range(60):
        now += timedelta(seconds=dice.randint(0, 4))
        for _ in range(dice.randint(0, 4)):
            message = post(now=now)
            waiting[message.pk] = (now, message.delivery_set.get().pk)
        due = sorted((due_at, delivery, key) for key, (due_at, delivery) in waiting.items() if due_at <= now)
        claims = queue.claim(lease, limit := dice.randint(1, 6), now)
        assert [claim.message_id for claim in claims] == [key for _, _, key in due[:limit]]
        flying += claims
        for claim in claims:
            del waiting[claim.message_id]
        dice.shuffle(flying)
        for claim in flying[: dice.randint(0, 8)]:
            flying.remove(claim)
            if dice.random() < 0.5:
                settle(lease, report(claim, DeliveryState.ACCEPTED), now)
                continue
            until = now + timedelta(seconds=dice.choice((0, 1, 7, 30)))
            settle(
                lease, report(claim, DeliveryState.QUEUED, delay=1.0, counted=True, delay_until=until), now
            )
            waiting[claim.message_id] = (until, claim.duties[0].id)
    assert flying or waiting


@pytest.mark.django_db(transaction=True)
def test_what_many_doors_accept_at_once_is_claimed_in_the_order_of_their_times():
    office = connect()
    jobs = [lambda n=n: [post(now=later(milliseconds=10 * n + k)).pk for k in range(5)] for n in range(6)]
    accepted = {key for keys in at_once(jobs) for key in keys}
    found = taken(lease_of(office), 100, later(seconds=1))
    times = list(
        Delivery.objects.filter(message__in=found)
        .order_by("message__accepted_at", "pk")
        .values_list("message_id", flat=True)
    )
    assert set(found) == accepted
    assert found == times
