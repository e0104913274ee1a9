"""Delay notices: what has waited for 4 hours is told once, and nothing else is."""

import pytest
from django.db import OperationalError
from django.db import connection as database

from ledger.kit import (
    ACTOR,
    NOW,
    accepted,
    at_once,
    claimed,
    codes,
    connect,
    deliveries,
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
    staged,
)
from vaguemestre.ledger import connections, delays, evidence, messages, recovery, rerouting, waits
from vaguemestre.ledger.delays import Looked
from vaguemestre.ledger.health import keep_health
from vaguemestre.ledger.models import Delivery, Event, WaitingNotice, WaitStart
from vaguemestre.ledger.resources import message_resource
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.outlook import Count, Outlook
from vaguemestre.policy.schedule import RetrySchedule

pytestmark = pytest.mark.django_db

ORDINARY = RetrySchedule()
LATE = later(hours=4)
BUSY = Reply(451, "4.3.0 Try later")
TROUBLE = {"phase": "data", "cause": "reply", "row": 15, "why": "message_deferred", "facts": {}}


def look(now=LATE, **values):
    return delays.look(now, ORDINARY, **values).told


def notices(message):
    """How many each delivery of a message has."""
    return [codes(delivery).count("delayed") for delivery in deliveries(message)]


def expected(message):
    """What the only notice of a message says."""
    (event,) = Event.objects.filter(delivery__message=message, detail__code="delayed")
    return delays.outlook_of(event.detail)


def defer(connection, now=NOW, until=LATE, reply=BUSY):
    lease, claim = claimed(connection, now)
    settle(lease, report(claim, DeliveryState.QUEUED, now, reply, trouble=TROUBLE, delay_until=until), now)


def set_health(connection, state, **values):
    keep_health(connection.pk, connection.version, HealthState(state, since=NOW, **values))


@pytest.fixture
def office():
    """A connection whose lane a courier holds when what waits for it is late."""
    made = connect()
    lease_of(made, now=LATE)
    return made


def test_what_waits_for_four_hours_is_told_once(office):
    message = post()
    assert [look(later(hours=hours)) for hours in (3.999, 4, 4.001, 8, 24)] == [0, 1, 0, 0, 0]
    delivery = only(message)
    assert (codes(delivery), delivery.delayed_at) == (["accepted_here", "delayed"], LATE)
    (_, event) = events(delivery)
    assert (event.at, event.state, event.attempt) == (LATE, "queued", None)


def test_for_how_long_is_the_schedule_s_to_say(office):
    message = post()
    schedule = RetrySchedule(delay_notice=60)
    assert [delays.look(later(seconds=at), schedule).told for at in (59, 60)] == [0, 1]
    assert notices(message) == [1]


def test_the_notice_gives_the_server_s_words_and_the_next_try(office):
    message = post()
    defer(office, later(hours=4, seconds=-5), until=later(hours=5))
    assert look() == 1
    told = expected(message)
    assert (told.code, told.at) == ("retry", later(hours=5))
    assert told.facts["said"] == "451 4.3.0 Try later"
    assert told.facts["why"] == "message_deferred"


def test_what_waits_for_a_locked_connection_is_late_too(office):
    message = post()
    set_health(office, Health.LOCKED, why="sign_in_refused", text="535 5.7.8 Wrong")
    assert look() == 1
    told = expected(message)
    assert (told.code, told.at) == ("locked", None)
    assert (told.facts["why"], told.facts["connection"]) == ("sign_in_refused", "Office")


def test_what_waits_for_a_throttled_connection_is_late_too(office):
    message = post()
    until = later(hours=4, minutes=10)
    set_health(office, Health.THROTTLED, why="no_answer", until=until)
    assert look() == 1
    assert (expected(message).code, expected(message).at) == ("throttled", until)


def test_what_waits_for_a_paused_connection_is_late_too(office):
    message = post()
    connections.pause(str(office.uid), ACTOR, NOW)
    assert look() == 1
    assert (expected(message).code, expected(message).facts["by"]) == ("paused", ACTOR)


def test_what_waits_for_a_limit_is_late_too():
    office = connect(limits={"per_day": 1})
    message = post("one@example.com", "two@example.com")
    lease, claim = claimed(office, LATE)
    settle(lease, report(claim, DeliveryState.ACCEPTED, LATE, Reply(250, "2.0.0 Ok")), LATE)
    assert look() == 1
    assert (expected(message).code, expected(message).at) == ("limit_reached", later(hours=28))


def test_what_waits_for_its_turn_is_told_how_many_are_ahead(office):
    first = post()
    look()
    second = post(now=later(seconds=5))
    assert look(later(hours=4, seconds=5)) == 1
    assert expected(second).facts["ahead"] == Count(1)
    assert notices(first) == [1]


def test_recipients_that_are_late_together_are_one_line_of_the_page(office):
    message = post("one@example.com", "two@example.com", "three@example.com")
    assert look() == 3
    assert notices(message) == [1, 1, 1]
    assert len({str(event.detail) for event in Event.objects.filter(detail__code="delayed")}) == 1


def test_the_api_and_the_command_line_have_when_it_was_told(office):
    message = post()
    look()
    (told,) = message_resource(messages.find(str(message.uid)), LATE)["deliveries"]
    assert told["delayed_at"] == LATE


def test_what_has_ended_is_never_late(office):
    message = post()
    accepted(office)
    assert look() == 0
    assert notices(message) == [0]


# Since when it waits


def test_what_is_held_is_not_late_and_waits_since_a_route_let_it_go():
    message = post()
    assert look(later(hours=5)) == 0
    connect()
    rerouting.reroute(later(hours=6))
    assert only(message).state == "queued"
    assert [look(later(hours=hours)) for hours in (6, 9.999, 10, 20)] == [0, 0, 1, 0]


def test_what_a_person_releases_waits_since_then():
    message = post()
    connect()
    messages.release(str(message.uid), ACTOR, later(hours=3))
    assert [look(later(hours=hours)) for hours in (4, 6.999, 7, 20)] == [0, 0, 1, 0]


def test_what_is_in_doubt_is_not_late(office):
    message = post()
    in_doubt(office)
    assert look(later(hours=5)) == 0
    messages.resolve(str(message.uid), "send_again", ACTOR, later(hours=6))
    assert [look(later(hours=hours)) for hours in (6, 9.999, 10, 20)] == [0, 0, 1, 0]


def test_a_doubt_that_an_answer_ended_waits_since_that_was_found():
    """The server had put it off; its courier could not record that, and died."""
    office = connect()
    message = post()
    _, claim = staged(office)
    lose_lease(office)
    recovery.recover(lease_of(office, "another-courier", later(minutes=1)), later(minutes=1))
    assert look(later(hours=5)) == 0
    put_off = report(claim, DeliveryState.QUEUED, NOW, BUSY, trouble=TROUBLE)
    assert evidence.replay([evidence.entry_of(put_off)], later(hours=6)) == 1
    rerouting.reroute(later(hours=6))
    assert [look(later(hours=hours)) for hours in (6, 9.999, 10, 20)] == [0, 0, 1, 0]
    assert notices(message) == [1]


@pytest.mark.parametrize("hours", [1, 30], ids=["within the 4 hours", "after them"])
def test_what_is_to_leave_later_waits_since_then(office, hours):
    message = post(send_at=later(hours=hours))
    assert [look(later(hours=hours + more)) for more in (0, 3, 3.999, 4, 8)] == [0, 0, 0, 1, 0]
    assert notices(message) == [1]


def test_what_is_to_leave_now_waits_since_its_acceptance(office):
    post(send_at=later(hours=-1))
    assert WaitStart.objects.count() == 0
    assert [look(later(hours=3.9)), look()] == [0, 1]


def test_a_held_one_that_is_to_leave_later_waits_since_then():
    message = post(send_at=later(hours=2))
    connect()
    rerouting.reroute(later(hours=1))
    assert [look(later(hours=hours)) for hours in (5, 5.999, 6)] == [0, 0, 1]
    assert notices(message) == [1]


def test_what_is_resent_waits_since_it_was(office):
    message = post()
    messages.cancel(str(message.uid), ACTOR, NOW)
    messages.resend(str(message.uid), ACTOR, later(hours=3))
    assert [look(later(hours=hours)) for hours in (4, 6.999, 7)] == [0, 0, 1]
    assert notices(message) == [0]


def test_what_a_courier_has_in_hand_is_looked_at_again(office):
    message = post()
    lease, claim = claimed(office, later(hours=3))
    assert [look(), look(later(hours=4.5))] == [0, 0]
    recovery.put_back(lease, [claim], later(hours=5))
    assert [look(later(hours=5)), look(later(hours=6))] == [1, 0]
    assert notices(message) == [1]
    assert WaitStart.objects.count() == 0


def test_what_a_courier_had_in_hand_and_was_accepted_is_forgotten(office):
    post()
    lease, claim = claimed(office, later(hours=3))
    assert look() == 0
    settle(lease, report(claim, DeliveryState.ACCEPTED, LATE, Reply(250, "2.0.0 Ok")), LATE)
    assert look(later(hours=5)) == 0
    assert WaitStart.objects.count() == 0


# Once


def test_another_route_tells_nothing_again(office):
    message = post()
    look()
    connect("Shop", is_default=True)
    rerouting.reroute(later(hours=5))
    assert only(message).connection.name == "Shop"
    assert [look(later(hours=hours)) for hours in (6, 10, 30)] == [0, 0, 0]


def test_another_release_tells_nothing_again(office):
    message = post()
    look()
    connections.deactivate(str(office.uid), ACTOR, later(hours=5))
    rerouting.reroute(later(hours=5))
    connections.activate(str(office.uid), ACTOR, later(hours=6))
    messages.release(str(message.uid), ACTOR, later(hours=6))
    assert [look(later(hours=hours)) for hours in (10, 30)] == [0, 0]
    assert (notices(message), WaitStart.objects.count()) == ([1], 0)


@pytest.mark.django_db(transaction=True)
def test_couriers_that_look_at_once_tell_each_once():
    office = connect()
    message = post(*(f"{number}@example.com" for number in range(20)))
    free = post(now=later(minutes=1))
    messages.release(str(free.uid), ACTOR, later(minutes=1))
    told = at_once([lambda: look(later(hours=5))] * 4)
    assert sum(told) == 21, told
    assert notices(message) == [1] * 20
    assert notices(free) == [1]
    assert office.pk == only(free).connection_id


def test_what_a_fault_undoes_is_told_the_next_time(office):
    message = post()

    def full(execute, statement, *more):
        if statement.startswith('INSERT INTO "ledger_event"'):
            raise OperationalError("database or disk is full")
        return execute(statement, *more)

    with database.execute_wrapper(full), pytest.raises(OperationalError):
        look()
    assert notices(message) == [0]
    assert look() == 1


# Many


def test_so_many_are_told_at_a_look_and_the_others_at_the_next(office):
    post("a@example.com", "b@example.com", "c@example.com")
    post("d@example.com", "e@example.com", send_at=later(minutes=1))
    looks = [delays.look(later(hours=5), ORDINARY, 2) for _ in range(4)]
    assert looks == [Looked(4, more=True), Looked(1, more=False), Looked(), Looked()]
    assert Event.objects.filter(detail__code="delayed").count() == 5


def test_what_is_not_late_yet_is_not_passed(office):
    post()
    young = post(now=later(hours=2))
    assert look() == 1
    assert WaitingNotice.objects.get(kind="late").delivery == only(young).pk - 1
    assert [look(later(hours=6)), look(later(hours=7))] == [1, 0]


def test_a_clock_that_was_ahead_makes_nothing_late_early(office):
    """A message of another machine, whose number is lower than its time."""
    message = post(now=later(hours=1))
    post(now=NOW)
    post(now=later(minutes=1))
    assert look(later(hours=4, seconds=59)) == 1
    assert notices(message) == [0]
    assert look(later(hours=5)) == 2
    assert notices(message) == [1]


def test_a_long_stretch_is_passed_in_pieces(office):
    for _ in range(7):
        post()
    first = Delivery.objects.order_by("pk")[0].pk
    fronts = []
    while delays.look(LATE, ORDINARY, stretch=3).more:
        fronts.append(WaitingNotice.objects.get(kind="late").delivery - first + 1)
    assert fronts == [3, 6]
    assert Event.objects.filter(detail__code="delayed").count() == 7


def test_a_look_that_finds_nothing_asks_a_handful_of_questions(office, django_assert_num_queries):
    post()
    with django_assert_num_queries(1):  # and two by the driver's own cursor
        assert look(later(hours=3)) == 0


def test_a_look_costs_the_same_for_many(office, django_assert_max_num_queries):
    for number in range(30):
        post(f"{number}@example.com")
    with django_assert_max_num_queries(24):
        assert look() == 30


def test_all_of_it_follows_indexes(office):
    for _ in range(50):
        post(send_at=later(hours=1))
    asked = {"front": 3, "first": 3, "last": 20, "limit": 500, "before": "2026-11-24 12:00:00"}
    if on_postgresql():
        sql("ANALYZE ledger_delivery, ledger_message, ledger_waitstart")
        sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        sql("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
    explain = "EXPLAIN " if on_postgresql() else "EXPLAIN QUERY PLAN "
    wanted = {
        delays._ENDS: "message_recent",
        delays._PASSED: "ledger_delivery_pkey" if on_postgresql() else "SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        delays._BEGUN: "ledger_waitstart_since",
    }  # fmt: skip
    for statement, index in wanted.items():
        plan = "\n".join(
            str(line) for line in sql(explain + statement % {n: repr(v) for n, v in asked.items()})
        )
        assert index in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "Materialize" not in plan, plan
        assert "SCAN d" not in plan, plan
        assert "SCAN ledger_message" not in plan, plan


# As it is kept


def test_what_it_waited_for_is_kept_and_read():
    told = Outlook(
        "retry",
        LATE,
        {"ahead": Count(3, more=True), "expires_at": NOW, "said": "451 no", "why_facts": {"limit": "10"}},
    )
    assert delays.outlook_of(delays._detail(told)) == told
    assert delays.outlook_of(delays._detail(Outlook("locked"))) == Outlook("locked")


def test_a_wait_begins_once_at_a_time(office):
    delivery = only(post()).pk
    for at in (NOW, LATE):
        waits.begin([(delivery, at)])
    assert list(WaitStart.objects.values_list("delivery", "since")) == [(delivery, LATE)]
