"""Lane leases: one courier at a time, and a stale one writes nothing."""

import dataclasses
import os
import signal
from datetime import timedelta

import pytest
from django.db import transaction

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    child,
    claimed,
    codes,
    connect,
    elsewhere,
    epoch,
    events,
    in_doubt,
    later,
    lease_of,
    lose_lease,
    on_postgresql,
    only,
    post,
    report,
    settle,
    sql,
    stage,
    staged,
)  # fmt: skip
from vaguemestre.ledger import allowance, connections, lanes, leases, queue, recovery
from vaguemestre.ledger.claims import Stale
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.models import Attempt, Connection, Courier, Delivery, Lane
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy.health import HealthState

pytestmark = pytest.mark.django_db

HOLD = """
from vaguemestre.ledger import leases
holder = leases.new_holder()
print(holder, [lease.epoch for lease in leases.take(holder, datetime.now(UTC))], flush=True)
sys.stdin.read()
"""


def test_all_lanes_of_a_holder_are_renewed_in_one_statement(django_assert_max_num_queries):
    for number in range(12):
        connect(f"Office {number}", sender_email=f"{number}@example.org")
    first = leases.take("one", NOW)
    with django_assert_max_num_queries(9):
        assert leases.take("one", later(seconds=5)) == first
    assert len(first) == 12
    assert leases.take("two", later(seconds=19)) == []


def test_a_lane_has_one_holder_and_renewing_keeps_its_epoch():
    office = connect()
    assert leases.take("one", NOW) == [Lease(office.pk, 1)]
    assert leases.take("two", NOW) == []
    assert leases.take("one", later(seconds=5)) == [Lease(office.pk, 1)]


def test_a_lane_that_was_given_back_is_taken_at_once_with_the_next_epoch():
    office = connect()
    leases.take("one", NOW)
    leases.give_back("one")
    assert leases.take("two", NOW) == [Lease(office.pk, 2)]


def test_one_lane_can_be_let_go():
    office, other = connect(), connect("Other")
    leases.take("one", NOW)
    leases.let_go("one", office.pk)
    assert leases.take("one", NOW) == [Lease(office.pk, 2), Lease(other.pk, 1)]


def test_a_live_holder_keeps_its_lane_for_15_seconds():
    office = connect()
    leases.take("one", NOW)
    if on_postgresql():  # the server's clock counts, so the row is made older instead
        for age, taken in ((14, 0), (16, 1)):
            renewed = leases.lease_time(NOW) - timedelta(seconds=age)
            Lane.objects.update(renewed_at=renewed)
            assert len(leases.take("two", NOW)) == taken
    else:
        assert leases.take("two", later(seconds=15)) == []
        assert leases.take("two", later(seconds=15, microseconds=1)) == [Lease(office.pk, 2)]


def test_a_holder_on_another_host_is_never_judged_dead():
    mine = leases.new_holder().split()
    assert not leases.holder_is_dead(" ".join(mine))
    assert not leases.holder_is_dead(" ".join(["another-boot", *mine[1:]]))
    assert not leases.holder_is_dead(" ".join([mine[0], "pid:[1]", *mine[2:]]))
    assert not leases.holder_is_dead("nothing of the kind")
    assert leases.holder_is_dead(" ".join([*mine[:3], "1", mine[4]]))


def test_two_holders_of_one_process_differ():
    assert leases.new_holder() != leases.new_holder()


@pytest.mark.django_db(transaction=True)
def test_the_lane_of_a_killed_process_is_taken_over_at_once():
    office = connect()
    process = child(HOLD)
    holder, _, taken = process.stdout.readline().strip().rpartition(" [")
    assert taken == "1]"
    assert leases.take("two", leases.lease_time(later())) == []
    assert not leases.holder_is_dead(holder)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close(), process.stdout.close(), process.stderr.close()
    assert leases.holder_is_dead(holder)
    assert leases.take("two", Lane.objects.get().renewed_at) == [Lease(office.pk, 2)]


@pytest.mark.django_db(transaction=True)
def test_a_killed_process_that_was_not_yet_waited_for_is_dead_too():
    connect()
    process = child(HOLD)
    holder = process.stdout.readline().strip().rpartition(" [")[0]
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert leases.holder_is_dead(holder)
    process.wait()
    process.stdin.close(), process.stdout.close(), process.stderr.close()


@pytest.mark.django_db(transaction=True)
def test_of_many_couriers_at_once_each_lane_goes_to_one():
    for number in range(5):
        connect(f"Lane{number}")
    answers = at_once([lambda name=f"courier {n}": leases.take(name, NOW) for n in range(12)])
    taken = [lease for answer in answers for lease in answer]
    assert len(taken) == 5
    assert {lease.epoch for lease in taken} == {1}


@pytest.mark.parametrize("act", ["claim", "stage", "settle", "put_back", "recover", "refuse_gone"])
def test_l04_a_stale_courier_writes_nothing(act):
    office = connect()
    message = post()
    waiting = post("waiting@example.com", send_at=later(minutes=1))
    lease, claim = staged(office) if act == "settle" else claimed(office)
    lose_lease(office)
    successor = lease_of(office, "two")
    assert successor.epoch == lease.epoch + 1
    before = [(one.state, one.staged_at, len(events(one))) for one in (only(message), only(waiting))]
    acts = {
        "claim": lambda: queue.claim(lease, 10, later(minutes=2)),
        "stage": lambda: stage(lease, claim, NOW),
        "settle": lambda: settle(
            lease,
            report(claim, DeliveryState.ACCEPTED, health=HealthState(Health.LOCKED, "sign_in_refused")),
            NOW,
        ),
        "put_back": lambda: recovery.put_back(lease, [claim], NOW),
        "recover": lambda: recovery.recover(lease, NOW),
        "refuse_gone": lambda: recovery.refuse_gone(lease, claim, NOW),
    }
    with pytest.raises(Stale):
        acts[act]()
    assert [(one.state, one.staged_at, len(events(one))) for one in (only(message), only(waiting))] == before
    assert not Attempt.objects.exists()
    assert Connection.objects.get().health == "ready"


def test_l04_of_what_a_stale_courier_does_nothing_is_shown():
    first, second = lease_of(connect()), lease_of(connect("Second"))
    lose_lease(Connection.objects.get(pk=first.connection_id))
    assert leases.take("two", NOW)
    lanes.keep_activities({first: {"sessions": 1}, second: {"sessions": 2}}, NOW)
    shown = dict(Lane.objects.values_list("connection_id", "activity"))
    assert shown[first.connection_id] == {}
    assert shown[second.connection_id]["sessions"] == 2


def test_a_successor_that_died_before_it_recovered_is_recovered_by_the_next():
    office = connect()
    message = post()
    staged(office)
    lose_lease(office)
    lease_of(office, "two")
    lose_lease(office)
    assert recovery.recover(lease_of(office, "three"), NOW) == 1
    assert only(message).state == "in_doubt"


def test_recovering_leaves_what_the_new_holder_claimed_itself():
    office = connect()
    post()
    lease, _ = claimed(office)
    assert recovery.recover(lease, NOW) == 0


def test_a_courier_beats_for_readiness():
    assert not leases.courier_alive(NOW)
    holder = leases.new_holder()
    leases.take(holder, NOW)
    assert leases.courier_alive(NOW)
    Courier.objects.update(beat_at=leases.lease_time(NOW) - leases.LOST_AFTER - timedelta(seconds=1))
    assert not leases.courier_alive(NOW)
    leases.take(holder, NOW)
    leases.give_back(holder)
    assert not leases.courier_alive(NOW)


# the survey of lanes


def test_the_survey_says_what_is_due_and_how_a_lane_fares():
    office = connect(limits={"max_sessions": 2})
    idle = connect("Idle", active=False)
    post(connection="Office", send_at=later(minutes=1))
    (facts,) = lanes.survey(NOW)
    assert (facts.connection_id, facts.due, facts.max_sessions) == (
        office.pk,
        (),
        2,
    )
    assert lanes.survey(later(minutes=1))[0].due == (1,)
    assert idle.pk not in {one.connection_id for one in lanes.survey(NOW)}


def test_of_what_is_due_now_and_soon_the_survey_tells_the_first():
    connect()
    post(send_at=later(seconds=2))
    post("now@example.com")
    (facts,) = lanes.survey(NOW, timedelta(seconds=5))
    assert (facts.due, facts.next_at) == ((1,), None)
    Delivery.objects.filter(recipient="now@example.com").update(next_attempt_at=later(seconds=3))
    (facts,) = lanes.survey(NOW, timedelta(seconds=5))
    assert (facts.due, facts.next_at) == ((), later(seconds=2))


def test_the_survey_tells_of_all_lanes_in_the_order_of_their_connections():
    made = [connect(f"Office {number}").pk for number in range(5)]
    Connection.objects.filter(pk=made[1]).update(active=False)
    Connection.objects.filter(pk=made[2]).update(backup=made[0])
    assert [facts.connection_id for facts in lanes.survey(NOW)] == [made[0], *made[2:]]


@pytest.mark.skipif(on_postgresql(), reason="its plans are others")
def test_the_survey_makes_neither_an_index_nor_a_table_of_its_own():
    plan = " ".join(row[-1] for row in sql("EXPLAIN QUERY PLAN " + lanes._SURVEY.replace("%(until)s", "''")))
    assert "delivery_due" in plan
    assert "AUTOMATIC" not in plan
    assert "TEMP" not in plan


def test_the_survey_reads_the_end_of_a_throttle_as_it_was_stored():
    office = connect()
    until = NOW + timedelta(minutes=4, microseconds=5)
    keep_health(
        office.pk, office.version, HealthState(Health.THROTTLED, "limit_reached", "450 later", until, 2)
    )
    (facts,) = lanes.survey(NOW)
    assert facts.health == HealthState(Health.THROTTLED, "limit_reached", "450 later", until, 2)


def test_what_was_routed_at_an_older_epoch_is_not_due():
    connect()
    post()
    assert lanes.survey(NOW)[0].due
    bump()
    assert epoch() > 1
    assert not lanes.survey(NOW)[0].due


def test_health_of_other_settings_is_not_kept():
    office = connect()
    keep_health(office.pk, office.version + 1, HealthState(Health.LOCKED, "sign_in_refused"))
    assert Connection.objects.get().health == "ready"


def test_a_persons_pause_outlasts_what_a_courier_notes():
    office = connect()
    connections.pause(str(office.uid), ACTOR, NOW)
    keep_health(office.pk, office.version, HealthState(Health.READY))
    assert Connection.objects.get().health == "paused"
    connections.resume(str(office.uid), ACTOR, NOW)
    assert Connection.objects.get().health == "ready"


# claims


def test_claims_are_grouped_by_message_in_order_and_cut_to_the_most():
    office = connect(limits={"max_recipients": 2})
    first, second = post(*(f"a{n}@example.com" for n in range(5))), post("b@example.com")
    claims = queue.claim(lease_of(office), 100, NOW)
    assert [claim.message_id for claim in claims] == [first.pk] * 3 + [second.pk]
    assert [len(claim.duties) for claim in claims] == [2, 2, 1, 1]
    assert len({claim.attempt for claim in claims}) == 4


def test_no_more_is_claimed_than_asked_and_nothing_twice():
    office = connect()
    post(*(f"a{n}@example.com" for n in range(5)))
    lease = lease_of(office)
    claimed_ids = [duty.id for _ in range(3) for claim in queue.claim(lease, 2, NOW) for duty in claim.duties]
    assert len(claimed_ids) == len(set(claimed_ids)) == 5
    assert queue.claim(lease, 2, NOW) == []


def test_an_attempt_settles_every_delivery_of_its_claim():
    office = connect()
    message = post("a@example.com", "b@example.com")
    _, claim = staged(office)
    whole = report(claim, DeliveryState.ACCEPTED)
    with pytest.raises(ValueError, match="each delivery"):
        dataclasses.replace(whole, settlements=whole.settlements[:1])
    assert {delivery.state for delivery in message.delivery_set.all()} == {"claimed"}


def test_an_attempt_is_settled_once():
    office = connect()
    message = post()
    lease, claim = staged(office)
    assert settle(lease, report(claim, DeliveryState.ACCEPTED), NOW)
    assert not settle(lease, report(claim, DeliveryState.REFUSED), NOW)
    assert only(message).state == "accepted"
    assert codes(only(message)) == ["accepted_here", "attempt"]
    assert Attempt.objects.count() == 1


def test_counted_delays_add_up_and_waiting_costs_nothing():
    office = connect()
    message = post()
    lease, claim = claimed(office)
    settle(lease, report(claim, DeliveryState.QUEUED, delay=60.0, counted=True), NOW)
    lease, claim = claimed(office)
    settle(lease, report(claim, DeliveryState.QUEUED, delay=300.0), NOW)
    lease, claim = claimed(office)
    settle(lease, report(claim, DeliveryState.QUEUED, delay=300.0, counted=True), NOW)
    assert (only(message).counted, only(message).spent) == (2, 360.0)
    assert Attempt.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_threads_of_a_courier_claim_apart():
    office = connect()
    for _ in range(30):
        post()
    lease = lease_of(office)
    answers = at_once([lambda: queue.claim(lease, 10, NOW) for _ in range(4)])
    attempts = [claim.attempt for answer in answers for claim in answer]
    ids = [duty.id for answer in answers for claim in answer for duty in claim.duties]
    assert len(ids) == len(set(ids))
    assert len(attempts) == len(set(attempts))
    while queue.claim(lease, 10, NOW):
        pass
    assert not lanes.survey(NOW)[0].due


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not on_postgresql(), reason="on SQLite writers exclude each other")
def test_a_claim_passes_over_what_another_transaction_has_in_its_hands():
    """Waiting for it could close a ring: a person's act takes a message's deliveries in another order."""
    office = connect()
    message = post("a@example.com", "b@example.com")

    def claim_without_waiting():
        sql("SET lock_timeout = '2s'")
        return queue.claim(lease_of(office), 10, NOW)

    with transaction.atomic():
        list(Delivery.objects.select_for_update().filter(recipient="a@example.com"))
        (claim,) = elsewhere(claim_without_waiting)
    assert [duty.recipient for duty in claim.duties] == ["b@example.com"]
    assert [delivery.state for delivery in message.delivery_set.order_by("pk")] == ["queued", "claimed"]


def test_only_whom_the_server_took_can_be_in_doubt():
    office = connect()
    message = post("taken@example.com", "refused@example.com")
    lease, claim = claimed(office)
    stage(lease, claim, NOW, ["taken@example.com"])
    lose_lease(office)
    recovery.recover(lease_of(office, "two"), NOW)
    assert [delivery.state for delivery in message.delivery_set.order_by("pk")] == ["in_doubt", "queued"]


# limits


def test_a_daily_limit_counts_recipients_over_a_rolling_day():
    office = connect(limits={"per_day": 3})
    post(*(f"a{n}@example.com" for n in range(5)))
    lease = lease_of(office)
    assert recipients_taken(lease, 2, NOW) == 2
    assert recipients_taken(lease, 10, later(hours=1)) == 1
    assert recipients_taken(lease, 10, later(hours=23, minutes=59)) == 0
    assert recipients_taken(lease, 10, later(days=1)) == 2


def recipients_taken(lease, limit, now):
    """Claim and have accepted what the limits leave."""
    claims = queue.claim(lease, limit, now)
    for claim in claims:
        settle(lease, report(claim, DeliveryState.ACCEPTED), now)
    return sum(len(claim.duties) for claim in claims)


def test_a_limit_a_minute_counts_messages():
    office = connect(limits={"per_minute": 2})
    for _ in range(5):
        post("a@example.com", "b@example.com")
    lease = lease_of(office)
    counts = [recipients_taken(lease, 10, later(seconds=seconds)) for seconds in (0, 30, 60, 119, 120)]
    assert counts == [4, 0, 4, 0, 2]


def test_of_what_a_dead_courier_had_claimed_only_what_may_have_left_counts_against_the_limits():
    """It claims ahead of its sessions: a day's tokens would else be gone with it."""
    office = connect(limits={"per_minute": 10, "per_day": 10})
    for number in range(5):
        post(f"a{number}@example.com", f"b{number}@example.com")
    lease = lease_of(office)
    claims = queue.claim(lease, 10, NOW)
    stage(lease, claims[0], NOW)
    stage(lease, claims[1], NOW, ["b1@example.com"])
    lose_lease(office)
    again = lease_of(office, "two")
    assert recovery.recover(again, NOW) == 10
    left = allowance.allowance(office.pk, NOW)
    assert (left.messages, left.recipients) == (8, 6)
    later_left = allowance.allowance(office.pk, later(days=1))
    assert (later_left.messages, later_left.recipients) == (10, 10)


def test_in_doubt_is_due_like_any_other():
    office = connect()
    post()
    in_doubt(office)
    assert not lanes.survey(NOW)[0].due
    assert lanes.survey(later(minutes=10))[0].due


def test_a_message_that_the_limit_cuts_is_claimed_whole():
    office = connect()
    post("first@example.com")
    post(*(f"r{number}@example.com" for number in range(7)))
    post("last@example.com")
    claims = queue.claim(lease_of(office), 3, NOW)
    assert [len(claim.duties) for claim in claims] == [1, 7]
