"""Backup connections: what waits for a connection out of order leaves through its backup, and comes home again."""

import pytest
from django.test.utils import CaptureQueriesContext

from ledger.kit import (
    ACTOR,
    NOW,
    claimed,
    codes,
    connect,
    database,
    deliveries,
    events,
    fresh,
    in_doubt,
    later,
    on_postgresql,
    only,
    post,
    sql,
    staged,
    stand_in,
)
from vaguemestre.ledger import backups, connections, instance, lanes, messages, rerouting, resources
from vaguemestre.ledger.health import health_columns, health_of
from vaguemestre.ledger.models import Connection, Delivery
from vaguemestre.policy.health import READY, locked, paused, throttled

pytestmark = pytest.mark.django_db

LOCKED = locked(READY, "sign_in_refused", "535 no", now=NOW)
THROTTLED = throttled(READY, NOW, 3600.0, why="limit_reached")
SIX = later(minutes=6)


def pair(**values):
    """A default connection with a backup."""
    spare = connect("Spare", sender_name="Spare sender")
    office = connect("Office", backup=str(spare.uid), is_default=True, **values)
    return office, spare


def give(connection, health):
    Connection.objects.filter(pk=connection.pk).update(**health_columns(health))


def carriers(message):
    return [(delivery.connection.name, delivery.backup_for_id) for delivery in deliveries(message)]


def test_what_waits_for_a_locked_connection_leaves_through_its_backup():
    office, spare = pair()
    message = post()
    give(office, LOCKED)
    assert stand_in(NOW) == 1
    delivery = only(message)
    assert (delivery.connection, delivery.backup_for, delivery.state) == (spare, office, "queued")
    assert delivery.route == {
        "sender": {"email": "spare@example.org", "name": "Spare sender"},
        "reply_to": None,
        "reverse_path": "spare@example.org",
    }
    assert delivery.reason["code"] == "default_override"
    assert delivery.reason["facts"]["backup_name"] == "Spare"
    event = events(delivery)[-1]
    assert (event.state, event.detail["code"]) == ("queued", "backup")
    assert (event.detail["connection_name"], event.detail["backup_name"]) == ("Office", "Spare")
    _, claim = claimed(spare)
    assert claim.route == delivery.route


def test_that_a_backup_stands_in_is_taken_once_until_it_is_over():
    """Whoever asks, and however often couriers start again; another backup is news."""
    office, _ = pair()
    other = connect("Other")

    def taken():
        standing_in = [one for one in backups.concerned() if one.in_use(NOW)]
        return [one.backup.name for one in backups.take_begun(standing_in)]

    assert taken() == []
    give(office, LOCKED)
    assert (taken(), taken()) == (["Spare"], [])
    Connection.objects.filter(pk=office.pk).update(backup=other)
    assert (taken(), taken()) == (["Other"], [])
    give(office, READY)
    assert taken() == []
    give(office, LOCKED)
    assert (taken(), taken()) == (["Other"], [])


def test_of_two_that_look_at_once_one_takes_that_a_backup_stands_in():
    office, _ = pair()
    give(office, LOCKED)
    (standing_in,) = backups.concerned()
    assert [backups._take(standing_in) for _ in range(2)] == [True, False]


def test_a_throttled_connection_keeps_its_mail_for_five_minutes():
    office, _ = pair()
    post()
    give(office, THROTTLED)
    assert stand_in(later(minutes=5)) == 0
    assert stand_in(later(minutes=5, seconds=1)) == 1


@pytest.mark.parametrize("health", [READY, paused(READY, "ada", now=NOW)])
def test_a_ready_or_paused_connection_keeps_its_mail(health):
    office, _ = pair()
    post()
    give(office, health)
    assert stand_in(later(days=9)) == 0


@pytest.mark.parametrize("health", [LOCKED, THROTTLED, paused(READY, "ada", now=NOW)])
def test_a_backup_that_is_out_of_order_itself_takes_nothing(health):
    office, spare = pair()
    post()
    give(office, LOCKED)
    give(spare, health)
    assert stand_in(SIX) == 0


def test_an_inactive_backup_takes_nothing():
    office, spare = pair()
    connections.deactivate(str(spare.uid), ACTOR, NOW)
    post()
    give(office, LOCKED)
    assert stand_in(NOW) == 0


def test_a_backups_backup_takes_nothing():
    last = connect("Last")
    office, spare = pair()
    connections.edit(str(spare.uid), {"backup": str(last.uid)}, ACTOR, NOW)
    message = post()
    give(office, LOCKED)
    assert stand_in(NOW) == 1
    give(spare, LOCKED)
    stand_in(NOW)
    stand_in(NOW)
    assert carriers(message) == [("Office", None)]


def test_what_is_claimed_or_not_due_or_held_or_in_doubt_does_not_move():
    office, _ = pair()
    post(subject="in doubt")
    in_doubt(office)
    post(subject="claimed")
    claimed(office)
    post(subject="later", send_at=later(hours=1))
    give(office, LOCKED)
    assert stand_in(NOW) == 0
    assert stand_in(later(hours=1)) == 1
    assert Delivery.objects.exclude(connection=office).get().message.subject == "later"


def test_what_still_waits_at_the_backup_comes_home_when_the_connection_works_again():
    office, spare = pair()
    gone, waits = post("one@example.com"), post("two@example.com")
    before = only(waits).route
    give(office, LOCKED)
    assert stand_in(NOW) == 2
    leaving = let_leave(gone)
    give(office, READY)
    assert stand_in(NOW) == 1
    assert carriers(waits) == [("Office", None)]
    assert only(waits).route == before
    assert "backup" not in only(waits).reason["facts"]
    assert codes(only(waits)) == ["accepted_here", "backup", "backup_over"]
    assert (fresh(leaving).connection, fresh(leaving).backup_for) == (spare, office)


def let_leave(message):
    """Let the message's delivery be in a courier's hands, at the backup."""
    delivery = only(message)
    Delivery.objects.exclude(pk=delivery.pk).update(next_attempt_at=later(hours=1))
    staged(delivery.connection)
    Delivery.objects.exclude(pk=delivery.pk).update(next_attempt_at=NOW)
    return delivery


def test_what_waits_comes_home_too_when_the_backup_is_locked():
    office, spare = pair()
    message = post()
    give(office, LOCKED)
    stand_in(NOW)
    give(spare, THROTTLED)
    assert stand_in(later(minutes=1)) == 0  # it may be over soon
    give(spare, LOCKED)
    assert stand_in(later(minutes=1)) == 1
    assert carriers(message) == [("Office", None)]


def test_a_person_who_pauses_a_connection_has_its_mail_wait_there():
    office, _ = pair()
    message = post()
    give(office, THROTTLED)
    stand_in(SIX)
    connections.pause(str(office.uid), ACTOR, SIX)
    assert stand_in(SIX) == 1
    assert carriers(message) == [("Office", None)]


def test_a_half_open_connection_keeps_one_delivery_to_probe_with():
    office, _ = pair()
    for number in range(3):
        post(f"{number}@example.com")
    give(office, throttled(READY, NOW, 600.0))
    end = later(minutes=10)
    assert stand_in(end) == 2
    assert stand_in(end) == 0
    claimed(office, end)  # the probe is out
    fourth = post("fourth@example.com", now=end)
    assert stand_in(end) == 1
    assert carriers(fourth)[0][0] == "Spare"


def test_few_wait_at_a_backup_and_the_oldest_go_first():
    office, _ = pair()
    made = [post(f"{number}@example.com", now=later(seconds=number - 60)) for number in range(6)]
    give(office, LOCKED)
    assert stand_in(NOW, limit=4) == 4
    assert stand_in(NOW, limit=4) == 0
    assert [carriers(message)[0][0] for message in made] == ["Spare"] * 4 + ["Office"] * 2
    Delivery.objects.filter(message=made[0]).update(state="accepted", settled_at=NOW)
    assert stand_in(NOW, limit=4) == 1


def test_each_message_leaves_by_its_own_route_through_the_backup():
    spare = connect("Spare", allowed_senders=["ann@example.com"])
    office = connect("Office", backup=str(spare.uid), allowed_senders=["ann@example.com", "bob@example.com"])
    asking = {"connection": str(office.uid)}
    ann, bob = post(from_="ann@example.com", **asking), post(from_="bob@example.com", **asking)
    bounce = post(from_="ann@example.com", reverse_path=None, **asking)
    give(office, LOCKED)
    assert stand_in(NOW) == 3
    assert [only(message).route for message in (ann, bob, bounce)] == [
        {"sender": None, "reply_to": None, "reverse_path": "spare@example.org"},
        {
            "sender": {"email": "spare@example.org", "name": ""},
            "reply_to": "bob@example.com",
            "reverse_path": "spare@example.org",
        },
        {"sender": None, "reply_to": None, "reverse_path": None},
    ]


def test_a_newer_epoch_is_the_first_connections_again_and_asked_anew():
    office, _ = pair()
    message = post()
    give(office, LOCKED)
    instance.bump()
    assert stand_in(NOW) == 0  # of an older epoch: re-routing comes first
    rerouting.reroute(NOW)
    assert stand_in(NOW) == 1
    instance.bump()
    assert stand_in(NOW) == 0
    assert rerouting.reroute(NOW) == 1
    assert carriers(message) == [("Office", None)]
    assert stand_in(NOW) == 1
    assert carriers(message) == [("Spare", office.pk)]


def test_a_backup_that_is_taken_away_carries_nothing_more():
    office, _ = pair()
    message = post()
    give(office, LOCKED)
    stand_in(NOW)
    connections.edit(str(office.uid), {"backup": None}, ACTOR, NOW)
    rerouting.reroute(NOW)
    assert stand_in(NOW) == 0
    assert carriers(message) == [("Office", None)]


def doubtful_at_the_backup():
    office, spare = pair()
    message = post()
    give(office, LOCKED)
    stand_in(NOW)
    in_doubt(spare)
    return office, spare, message


def test_what_is_in_doubt_at_the_backup_stays_there_for_its_retry():
    office, spare, message = doubtful_at_the_backup()
    give(office, READY)
    assert stand_in(NOW) == 0
    connect("Unrelated")
    assert rerouting.reroute(NOW) == 1
    delivery = only(message)
    assert (delivery.state, delivery.connection, delivery.backup_for) == ("in_doubt", spare, office)
    assert delivery.next_attempt_at == later(minutes=10)


@pytest.mark.parametrize(
    "change",
    [
        lambda office, _: connections.edit(str(office.uid), {"backup": None}, ACTOR, NOW),
        lambda _, spare: connections.edit(str(spare.uid), {"sender_name": "Other"}, ACTOR, NOW),
        lambda _, spare: connections.deactivate(str(spare.uid), ACTOR, NOW),
    ],
    ids=["another backup", "another sender", "inactive"],
)
def test_what_is_in_doubt_at_a_backup_that_would_not_carry_it_so_again_waits_for_a_person(change):
    office, spare, message = doubtful_at_the_backup()
    change(office, spare)
    rerouting.reroute(NOW)
    delivery = only(message)
    assert (delivery.state, delivery.next_attempt_at) == ("in_doubt", None)
    assert codes(delivery)[-1] == "waits_for_person"


def test_sent_again_by_a_person_it_is_the_first_connections_duty():
    office, _, message = doubtful_at_the_backup()
    messages.resolve(str(message.uid), "send_again", ACTOR, NOW)
    assert carriers(message) == [("Office", None)]
    assert stand_in(NOW) == 1
    assert carriers(message) == [("Spare", office.pk)]


def test_released_by_a_person_it_is_the_first_connections_duty():
    office, _ = pair()
    message = post()
    give(office, LOCKED)
    stand_in(NOW)
    messages.release(str(message.uid), ACTOR, NOW)
    assert carriers(message) == [("Office", None)]


def test_it_is_known_which_backups_stand_in_now():
    office, spare = pair()
    assert backups.in_use(NOW) == []
    give(office, THROTTLED)
    assert backups.in_use(NOW) == []
    assert [(found.first, found.backup) for found in backups.in_use(SIX)] == [(office, spare)]
    give(spare, LOCKED)
    assert backups.in_use(SIX) == []


def test_while_nothing_is_out_of_order_one_statement_is_all():
    pair()
    post()
    with CaptureQueriesContext(database) as asked:
        assert stand_in(NOW) == 0
    assert len(asked) == 1
    if not on_postgresql():
        plan = str(sql(f"EXPLAIN QUERY PLAN {asked[0]['sql']}"))
        assert "delivery_stand_ins" in plan


def test_what_is_due_is_found_by_the_lanes_index():
    office, _ = pair()
    post()
    give(office, LOCKED)
    with CaptureQueriesContext(database) as asked:
        stand_in(NOW)
    if not on_postgresql():
        found = [one["sql"] for one in asked if "d.rank" in one["sql"]]
        assert len(found) == 3
        assert all("delivery_due" in str(sql(f"EXPLAIN QUERY PLAN {due}")) for due in found)


def test_the_api_names_the_connection_that_a_backup_stands_in_for():
    office, spare = pair()
    message = post()
    assert resources.message_resource(message, NOW)["deliveries"][0]["backup_for"] is None
    give(office, LOCKED)
    stand_in(NOW)
    told = resources.message_resource(messages.find(str(message.uid)), NOW)["deliveries"][0]
    assert (told["connection"], told["backup_for"]) == (str(spare.uid), str(office.uid))
    assert "Spare" in told["reason"]["text"]
    assert "Office" in told["reason"]["text"]


def test_the_ledger_keeps_since_when_a_connection_is_not_ready():
    office = connect("Office")
    give(office, THROTTLED)
    assert health_of(fresh(office)) == THROTTLED
    (facts,) = lanes.survey(NOW)
    assert facts.health == THROTTLED
    connections.pause(str(office.uid), ACTOR, later(minutes=1))
    assert fresh(office).health_since == NOW
    connections.resume(str(office.uid), ACTOR, later(minutes=2))
    assert fresh(office).health_since is None
