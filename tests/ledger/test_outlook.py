"""When a message leaves and what a lane is doing, as the ledger knows it."""

from datetime import timedelta

import pytest

from ledger.kit import (
    ACTOR,
    NOW,
    accepted,
    claimed,
    connect,
    deliveries,
    fresh,
    in_doubt,
    later,
    lease_of,
    lose_lease,
    on_postgresql,
    post,
    report,
    settle,
    sql,
    staged,
)
from vaguemestre.ledger import connections, lanes, messages, outlook, rerouting, sending
from vaguemestre.ledger.models import Connection, Delivery, Lane
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.lane_outlook import Activity, LaneCode
from vaguemestre.policy.manner import Ladder
from vaguemestre.policy.outlook import Count, OutlookCode

pytestmark = pytest.mark.django_db

GREYLISTED = Reply(451, "4.7.1 Greylisted, come back later")
DEFERRED = {"phase": "rcpt", "cause": "reply", "row": 14, "why": "recipient_deferred", "facts": {}}
BROKEN = {"phase": "data", "cause": "lost", "row": 12, "why": "dialogue_broken", "facts": {}}


def of(message, now=NOW):
    """The outlook of each of its deliveries."""
    found = messages.find(str(message.uid))
    return outlook.of_deliveries(messages.deliveries_of(found), now)


def only(message, now=NOW):
    (found,) = of(message, now)
    return found


def lane_of(connection, now=NOW):
    return outlook.of_connection(fresh(connection), now)


@pytest.fixture
def office():
    """A connection whose lane a courier holds."""
    made = connect("Office")
    lease_of(made)
    return made


def set_health(connection, state, **columns):
    Connection.objects.filter(pk=connection.pk).update(
        health=state, **{f"health_{name}": value for name, value in columns.items()}
    )


def test_what_is_due_on_a_lane_that_works_leaves_now(office):
    found = only(post())
    assert (found.code, found.at, found.facts["ahead"]) == (OutlookCode.LEAVES_NOW, None, Count())


def test_without_a_courier_nothing_leaves_and_a_lane_that_nobody_took_is_about_to_be_taken():
    office = connect("Office")
    message = post()
    assert only(message).code is OutlookCode.NO_COURIER
    lease_of(office)
    assert only(message).code is OutlookCode.LEAVES_NOW
    lose_lease(office)
    assert only(message).code is OutlookCode.UNSERVED
    Lane.objects.update(holder="")
    assert only(message).code is OutlookCode.UNSERVED
    assert lane_of(office).outlook.code == LaneCode.UNSERVED


def test_what_is_ahead_is_counted_in_the_order_of_claiming_without_its_own(office):
    shop = connect("Shop")
    post("a@example.com", "b@example.com", connection="Office", now=later(minutes=-2))
    post("c@example.com", connection="Shop", now=later(minutes=-2))
    asked = post("d@example.com", "e@example.com", connection="Office", now=later(minutes=-1))
    post("f@example.com", connection="Office")
    lease_of(shop)
    assert [found.facts["ahead"] for found in of(asked)] == [Count(2), Count(2)]


def test_more_than_ten_thousand_are_not_counted(office):
    first = post(now=later(minutes=-1))
    (pattern,) = deliveries(first)
    Delivery.objects.bulk_create(
        Delivery(
            message=first, recipient=f"{number}@example.com", connection=office, route=pattern.route,
            route_epoch=pattern.route_epoch, explanation=pattern.explanation, next_attempt_at=later(minutes=-1), retry_age=1,
        )
        for number in range(10_000)
    )  # fmt: skip

    assert only(post()).facts["ahead"] == Count(10_000, more=True)
    assert lane_of(office).work.due == Count(10_000, more=True)


def test_a_retry_is_told_with_the_words_that_caused_it_and_u27_a_greylist_by_name(office):
    message = post()
    lease, claim = claimed(office)
    again = {"trouble": DEFERRED, "delay_until": later(minutes=1), "delay": 60.0, "counted": True}
    settle(lease, report(claim, DeliveryState.QUEUED, reply=GREYLISTED, **again), NOW)

    found = only(message)
    assert (found.code, found.at) == (OutlookCode.GREYLISTED, later(minutes=1))
    assert found.facts["said"] == "451 4.7.1 Greylisted, come back later"

    lease, claim = claimed(office, later(minutes=1))
    again = {"trouble": BROKEN, "delay_until": later(minutes=6), "delay": 300.0, "counted": True}
    settle(lease, report(claim, DeliveryState.QUEUED, later(minutes=1), **again), later(minutes=1))

    found = only(message, later(minutes=1))
    assert (found.code, found.at) == (OutlookCode.RETRY, later(minutes=6))
    assert found.facts == {"why": "dialogue_broken", "why_facts": {}}  # not the words of the try before
    Delivery.objects.update(retry_age=360)
    assert only(message, later(minutes=1)).facts["last_try"] is True


def test_a_later_time_that_the_submitter_asked_for_is_no_retry(office):
    found = only(post(send_at=later(hours=2)))
    assert (found.code, found.at) == (OutlookCode.SCHEDULED, later(hours=2))


def test_the_connection_keeps_its_messages(office):
    message = post()
    set_health(office, "throttled", until=later(minutes=4), why="limit_reached", text="454 4.7.0 slow down")
    assert (only(message).code, only(message).at) == (OutlookCode.THROTTLED, later(minutes=4))
    assert only(message).facts["said"] == "454 4.7.0 slow down"
    lease_of(office, now=later(minutes=4))
    assert only(message, later(minutes=4)).code is OutlookCode.PROBING
    set_health(office, "locked", until=None, why="sign_in_refused")
    assert only(message, later(minutes=4)).code is OutlookCode.LOCKED
    set_health(office, "ready", why="")
    connections.pause(str(office.uid), ACTOR, NOW)
    found = only(message, later(minutes=4))
    assert (found.code, found.facts["by"]) == (OutlookCode.PAUSED, ACTOR)


def test_a_used_up_limit_is_named_with_the_time_of_its_next_token():
    office = connect("Office", limits={"per_minute": 1, "per_day": 2})
    post()
    accepted(office)
    waiting = post()

    found = only(waiting, later(seconds=1))
    assert (found.code, found.at) == (OutlookCode.LIMIT_REACHED, later(seconds=60))
    assert (found.facts["limit"], found.facts["tokens"]) == ("per_minute", 1)
    lease_of(office, now=later(seconds=60))
    assert only(waiting, later(seconds=60)).code is OutlookCode.LEAVES_NOW

    accepted(office, later(seconds=60))
    third = post(now=later(seconds=60))
    lease_of(office, now=later(seconds=90))
    found = only(third, later(seconds=90))
    assert (found.code, found.at) == (OutlookCode.LIMIT_REACHED, later(hours=24))
    assert (found.facts["limit"], found.facts["tokens"]) == ("per_day", 2)
    assert lane_of(office, later(seconds=90)).outlook.at == later(hours=24)


def test_with_others_ahead_a_limit_tells_the_time_of_ones_own_token():
    office = connect("Office", limits={"per_minute": 10})
    posted = [post() for _ in range(25)]
    lease_of(office)
    assert only(posted[9]).code is OutlookCode.LEAVES_NOW
    found = only(posted[24])
    assert (found.code, found.at) == (OutlookCode.LIMIT_REACHED, later(seconds=120))
    assert (found.facts["limit"], found.facts["tokens"]) == ("per_minute", 10)


def test_while_attempts_run_nobody_knows_when_their_tokens_come_back():
    office = connect("Office", limits={"per_minute": 1})
    post()
    claimed(office)
    found = only(post())
    assert (found.code, found.at) == (OutlookCode.LIMIT_REACHED, None)


def test_what_a_courier_has_is_told_apart_by_its_end_of_data(office):
    message = post()
    claimed(office)
    assert (only(message).code, only(message).facts["since"]) == (OutlookCode.HANDING_OVER, NOW)
    Delivery.objects.update(state="queued", lane_epoch=None, claimed_at=None)
    staged(office)
    assert only(message).code is OutlookCode.AWAITING_ANSWER


def test_held_messages_say_why_whether_or_not_a_courier_runs():
    message = post()
    assert only(message).code is OutlookCode.HELD
    assert only(message).facts["reason"]["code"] == "no_active_connection"


def test_doubts_are_sent_again_or_wait_for_a_person_or_for_their_connection(office):
    retried, held = post(), None
    in_doubt(office, reason="timeout")
    found = only(retried)
    assert (found.code, found.at) == (OutlookCode.DOUBT_RETRY, later(minutes=10))
    assert found.facts["doubt"] == "timeout"

    held = post(on_doubt="hold")
    in_doubt(office)
    assert (only(held).code, only(held).facts["undecided"]) == (OutlookCode.DOUBT_DECIDE, "on_doubt")

    connections.deactivate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    assert only(retried).code is OutlookCode.DOUBT_INACTIVE
    assert only(held).code is OutlookCode.DOUBT_INACTIVE


def test_a_route_of_an_older_epoch_is_being_worked_out_anew(office):
    message = post()
    connections.edit(str(office.uid), {"sender_name": "The office"}, ACTOR, NOW)
    assert only(message).code is OutlookCode.REROUTING
    rerouting.reroute(NOW)
    assert only(message).code is OutlookCode.LEAVES_NOW


def test_while_sending_is_paused_every_message_and_lane_says_so(office):
    message = post()
    sending.pause(ACTOR, NOW)
    assert (only(message).code, lane_of(office).outlook.code) == (OutlookCode.SENDING_PAUSED,) * 2
    assert only(message).facts["by"] == ACTOR
    sending.resume(ACTOR, NOW)
    assert only(message).code is OutlookCode.LEAVES_NOW


def test_each_recipient_has_an_outlook_of_its_own(office):
    message = post("a@example.com", "b@example.com")
    first, _ = deliveries(message)
    Delivery.objects.filter(pk=first.pk).update(
        state="refused", settled_at=NOW, next_attempt_at=None, last_code=550, last_text="5.1.1 unknown",
        trouble=DEFERRED | {"why": "recipient_refused"},
    )  # fmt: skip
    codes = [(found.code, found.facts.get("said")) for found in of(message)]
    assert codes == [(OutlookCode.REFUSED, "550 5.1.1 unknown"), (OutlookCode.LEAVES_NOW, None)]


def test_a_delivery_that_a_backup_carries_names_whom_it_stands_in_for(office):
    farm = connect("Farm", active=False)
    message = post()
    Delivery.objects.update(backup_for=farm)
    found = only(message)
    assert (found.code, found.facts["backup_for"]) == (OutlookCode.LEAVES_BY_BACKUP, "Farm")


def test_a_lane_tells_what_it_has_to_do(office):
    for ago in (3, 2, 1):
        post(now=later(minutes=-ago))
    claimed(office, later(minutes=-3))
    in_doubt(office, later(minutes=-2))  # tried again in 8 minutes
    post(send_at=later(minutes=5))
    lease_of(office)

    found = lane_of(office)

    work = found.work
    assert (work.due, work.later, work.claimed, work.in_doubt) == (Count(1), Count(2), Count(1), Count(1))
    assert (work.oldest_due_at, work.next_attempt_at) == (later(minutes=-1), later(minutes=5))
    assert found.outlook.code == LaneCode.SENDING


def test_what_is_only_for_later_is_no_work_for_now(office):
    assert lane_of(office).outlook.code == LaneCode.IDLE
    post(send_at=later(minutes=5))
    assert (lane_of(office).outlook.code, lane_of(office).outlook.at) == (LaneCode.WAITING, later(minutes=5))
    post()
    assert lane_of(office).outlook.code == LaneCode.TAKING_UP


def test_an_inactive_connection_tells_what_is_held_for_it_and_not_for_others():
    office, shop = connect("Office"), connect("Shop")
    for name in ("Office", "Office", "Shop"):
        post(connection=name)
    for connection in (office, shop):
        connections.deactivate(str(connection.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    post()  # asks for nobody

    found = lane_of(office)
    assert found.outlook.code == LaneCode.INACTIVE
    assert found.work.held == found.outlook.facts["held"] == Count(2)
    assert lane_of(shop).work.held == Count(1)


def test_what_a_courier_writes_of_itself_is_read_for_15_seconds(office):
    doing = {"sessions": 2, "in_flight": 9, "window": 8, "waiting": 4}
    lanes.keep_activities({lease_of(office): doing}, NOW)
    assert lane_of(office).work.activity == Activity(2, 9, 8, 4, NOW)
    assert lane_of(office, later(seconds=15)).work.activity is not None
    assert lane_of(office, later(seconds=16)).work.activity is None


@pytest.mark.parametrize(
    "kept",
    [{}, {"sessions": "many"}, {"sessions": 1, "in_flight": 1, "window": 1, "waiting": 1, "at": "soon"}],
)
def test_what_cannot_be_read_of_it_is_not_known(office, kept):
    Lane.objects.update(activity=kept)
    assert lane_of(office).work.activity is None


def test_the_learned_manner_counts_for_the_settings_it_was_learned_with_and_a_week(office):
    lane = lease_of(office)
    learned = Ladder(Manner.SINGLE, "data_broke", NOW)
    lanes.keep_ladder(lane, office.version, learned)
    assert lane_of(office).ladder == learned
    assert lane_of(office, later(days=7)).ladder == Ladder()
    connections.edit(str(office.uid), {"host": "other.example.org"}, ACTOR, NOW)
    assert lane_of(office).ladder == Ladder()


def test_the_connection_that_stands_in_is_named():
    farm = connect("Farm")
    office = connect("Office", backup=str(farm.uid))
    lease_of(office)
    assert "backup" not in lane_of(office).outlook.facts
    set_health(office, "locked", why="sign_in_refused", since=NOW)
    assert lane_of(office).outlook.facts["backup"] == "Farm"
    found = only(post(connection="Office"))
    assert (found.code, found.facts["backup"]) == (OutlookCode.LEAVES_BY_BACKUP, "Farm")


def test_fifty_recipients_cost_as_little_as_one(office, django_assert_max_num_queries):
    message = post(*(f"{number}@example.com" for number in range(50)))
    found = messages.find(str(message.uid))
    all_of_it = messages.deliveries_of(found)
    with django_assert_max_num_queries(7):
        assert len(outlook.of_deliveries(all_of_it, NOW)) == 50
    with django_assert_max_num_queries(7):
        outlook.of_connection(office, NOW)


def test_what_has_ended_costs_nothing(office, django_assert_num_queries):
    message = post()
    accepted(office)
    found = messages.find(str(message.uid))
    all_of_it = messages.deliveries_of(found)
    with django_assert_num_queries(0):
        (told,) = outlook.of_deliveries(all_of_it, NOW)
    assert (told.code, told.facts["said"]) == (OutlookCode.ACCEPTED, "250 2.0.0 Ok")


def test_every_count_follows_an_index(office):
    post(*(f"{number}@example.com" for number in range(100)))
    accepted(office)
    post(connection="Office", now=NOW - timedelta(minutes=1))
    asked = {"connection": office.pk, "now": "2026-11-24 12:00:00", "limit": 10_001, "due": "2026-11-24 12:00:00",
             "delivery": 7}  # fmt: skip
    statements = (outlook._WORK, *outlook._AHEAD.values(), outlook._HELD, messages._FOR_PEOPLE)
    if on_postgresql():
        sql("ANALYZE ledger_delivery, ledger_message")  # not what was there in the test before
        sql("SET LOCAL enable_seqscan = off")
        sql("SET LOCAL enable_bitmapscan = off")
    explain = "EXPLAIN " if on_postgresql() else "EXPLAIN QUERY PLAN "
    for statement in statements:
        filled = statement % {name: repr(value) for name, value in asked.items()}
        plan = "\n".join(str(line) for line in sql(explain + filled.replace("%", "%%")))
        assert "SCAN ledger_delivery'" not in plan, plan
        assert "Seq Scan on ledger_delivery" not in plan, plan
        # Nor an index of all deliveries, which the planner finds where it may not use the small ones.
        assert "ledger_delivery_connection" not in plan, plan
        assert "ledger_delivery_message" not in plan, plan
