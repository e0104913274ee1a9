"""L3: what changes the answer of routing makes every earlier answer stale, and nothing of an older epoch leaves."""

import threading
import time

import pytest
from django.db import OperationalError, transaction

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    claimed,
    codes,
    connect,
    content,
    deliveries,
    elsewhere,
    epoch,
    events,
    fresh,
    in_doubt,
    later,
    lease_of,
    on_postgresql,
    only,
    post,
    report,
    settle,
    sql,
    stage,
    staged,
    states,
    submission,
    with_password,
)  # fmt: skip
from vaguemestre.ledger import (
    accept,
    connections,
    contents,
    database,
    instance,
    queue,
    recovery,
    rerouting,
    routing,
    streams,
)
from vaguemestre.ledger.claims import Stale
from vaguemestre.ledger.connections import LeaveNone, Promote
from vaguemestre.ledger.models import Delivery, Instance, Message, Stream, Verification
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

CHANGES = {
    "a sender": lambda uid, _: connections.edit(uid, {"sender_email": "other@example.org"}, ACTOR, NOW),
    "a sender's name": lambda uid, _: connections.edit(uid, {"sender_name": "The office"}, ACTOR, NOW),
    "a reply-to": lambda uid, _: connections.edit(uid, {"reply_to": "r@example.org"}, ACTOR, NOW),
    "allowed senders": lambda uid, _: connections.edit(uid, {"allowed_senders": ["a@b.example"]}, ACTOR, NOW),
    "a backup": lambda uid, other: connections.edit(uid, {"backup": other}, ACTOR, NOW),
    "inactive": lambda uid, _: connections.deactivate(uid, ACTOR, NOW),
    "the default": lambda uid, _: connections.make_default(uid, ACTOR, NOW),
    "a new one": lambda *_: connect("Third"),
    "one deleted": lambda uid, _: connections.delete(uid, ACTOR, NOW),
    "a stream's connection": lambda uid, _: streams.edit("reports", {"connection": uid}, ACTOR, NOW),
    "a stream's reply-to": lambda *_: streams.edit("reports", {"reply_to": "r@example.org"}, ACTOR, NOW),
    "a new stream": lambda *_: streams.create({"key": "mine"}, ACTOR, NOW),
    "the mode": lambda *_: instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW),
}
NO_CHANGES = {
    "a password": lambda uid: connections.edit(uid, {"password": "another-password"}, ACTOR, NOW),
    "a server": lambda uid: connections.edit(
        uid, {"host": "b.example", "password": "again-again"}, ACTOR, NOW
    ),
    "limits": lambda uid: connections.edit(uid, {"limits": {"per_day": 5}}, ACTOR, NOW),
    "the same sender": lambda uid: connections.edit(uid, {"sender_email": "office@example.org"}, ACTOR, NOW),
    "a pause": lambda uid: connections.pause(uid, ACTOR, NOW),
    "a resume": lambda uid: connections.resume(uid, ACTOR, NOW),
    "a stream's days": lambda _: streams.edit("reports", {"retention_days": 7}, ACTOR, NOW),
    "the same mode": lambda _: instance.change_settings({"default_mode": "override"}, ACTOR, NOW),
    "a message": lambda _: post(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_alters_routing_raises_the_epoch_by_one(change):
    office, other = connect(), connect("Other")
    before = epoch()
    CHANGES[change](str(office.uid), str(other.uid))
    assert epoch() == before + 1


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_does_not_alter_routing_leaves_the_epoch(change):
    office = with_password()
    before = epoch()
    NO_CHANGES[change](str(office.uid))
    assert epoch() == before


def test_handing_over_the_default_raises_the_epoch():
    old, new = connect("Old", is_default=True), connect("New")
    before = epoch()
    connections.deactivate(str(old.uid), ACTOR, NOW, Promote(str(new.uid)))
    assert epoch() == before + 1


def test_the_epoch_is_raised_in_the_transaction_of_the_change():
    office = connect()
    before = epoch()
    with transaction.atomic():
        connections.deactivate(str(office.uid), ACTOR, NOW)
        transaction.set_rollback(True)
    assert epoch() == before
    assert fresh(office).active


def test_what_was_routed_at_an_older_epoch_is_not_claimed_until_it_is_routed_anew():
    office = connect()
    message = post()
    lease = lease_of(office)
    instance.bump()
    assert queue.claim(lease, 10, NOW) == []
    assert rerouting.reroute(NOW) == 1
    (claim,) = queue.claim(lease, 10, NOW)
    assert claim.message_id == message.pk


def test_routing_anew_writes_an_event_only_where_the_answer_changed():
    office = connect()
    message = post()
    connections.edit(str(office.uid), {"name": "Another name"}, ACTOR, NOW)
    connections.edit(str(office.uid), {"allowed_senders": ["nobody@elsewhere.example"]}, ACTOR, NOW)
    assert rerouting.reroute(NOW) == 1
    assert codes(only(message)) == ["accepted_here"]
    assert only(message).reason["facts"]["connection_name"] == "Another name"
    connections.edit(str(office.uid), {"reply_to": "reply@example.org"}, ACTOR, NOW)
    assert rerouting.reroute(NOW) == 1
    assert codes(only(message)) == ["accepted_here", "routed"]
    assert only(message).route["reply_to"] == "reply@example.org"
    assert rerouting.reroute(NOW) == 0


def test_routing_anew_moves_what_is_queued_to_held_and_back():
    office = connect()
    message = post()
    connections.deactivate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    held = only(message)
    assert (held.state, held.connection, held.route) == ("held", None, None)
    assert held.reason["code"] == "no_active_connection"
    connections.activate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    queued = only(message)
    assert (queued.state, queued.connection, queued.reason["code"]) == ("queued", office, "only_active")
    assert [event.state for event in events(queued)] == ["queued", "held", "queued"]


def test_routing_anew_keeps_the_time_that_a_message_waits_for():
    office = connect(active=False)
    message = post(send_at=later(hours=3))
    connections.activate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    assert only(message).next_attempt_at == later(hours=3)


def test_routing_anew_moves_what_waits_to_the_new_default():
    connect("Old", is_default=True)
    message = post()
    new = connect("New", is_default=True)
    rerouting.reroute(NOW)
    assert only(message).connection == new
    assert only(message).route["sender"]["email"] == "new@example.org"


def test_routing_anew_goes_in_batches():
    connect()
    for _ in range(5):
        post("a@example.com", "b@example.com")
    instance.bump()
    assert [rerouting.reroute(NOW, limit=4) for _ in range(4)] == [4, 4, 2, 0]


def test_what_has_ended_is_not_routed_anew():
    office = connect()
    post()
    lease, claim = staged(office)
    settle(lease, report(claim, DeliveryState.ACCEPTED), NOW)
    before = Delivery.objects.get().route_epoch
    instance.bump()
    assert rerouting.reroute(NOW) == 0
    assert Delivery.objects.get().route_epoch == before


@pytest.mark.parametrize(
    "change",
    [
        lambda uid: connections.deactivate(uid, ACTOR, NOW),
        lambda uid: connections.delete(uid, ACTOR, NOW),
        lambda uid: connections.edit(uid, {"sender_email": "other@example.org"}, ACTOR, NOW),
        lambda _: connect("Other", is_default=True),
        lambda _: instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW),
    ],
)
def test_a_claim_whose_routing_changed_cannot_be_staged(change):
    office = connect()
    message = post()
    lease, claim = claimed(office)
    change(str(office.uid))
    with pytest.raises(Stale):
        stage(lease, claim, NOW)
    assert only(message).staged_at is None
    recovery.put_back(lease, [claim], NOW)
    assert only(message).state == "queued"
    assert rerouting.reroute(NOW) == 1
    assert only(message).state in {"queued", "held"}


def test_a_mark_that_may_not_go_out_for_one_recipient_stays_on_none():
    office = connect()
    message = post("one@example.com", "two@example.com", "three@example.com")
    lease, claim = claimed(office)
    Delivery.objects.filter(recipient="two@example.com").update(route_epoch=0)
    with pytest.raises(Stale, match="must not go out"):
        stage(lease, claim, NOW)
    assert [one.staged_at for one in deliveries(message)] == [None] * 3
    stage(lease, claim, NOW, ["one@example.com"])
    assert [one.staged_at for one in deliveries(message)] == [NOW, None, None]


def test_an_inactive_connection_cannot_be_staged_even_without_an_epoch():
    office = connect()
    post()
    lease, claim = claimed(office)
    sql("UPDATE ledger_connection SET active = false")
    with pytest.raises(Stale, match="must not go out"):
        stage(lease, claim, NOW)


def test_what_was_staged_before_the_change_may_still_be_settled():
    office = connect()
    message = post()
    lease, claim = staged(office)
    connections.deactivate(str(office.uid), ACTOR, NOW)
    settle(lease, report(claim, DeliveryState.ACCEPTED), NOW)
    assert only(message).state == "accepted"


def test_a_claim_of_another_connection_cannot_be_staged():
    office, other = connect(), connect("Other")
    office_message = post(connection="Office")
    post(connection="Other")
    _, claim = claimed(office)
    with pytest.raises(Stale):
        stage(lease_of(other), claim, NOW)
    assert only(office_message).staged_at is None


@pytest.mark.django_db(transaction=True)
def test_a_stream_that_changes_while_a_message_is_accepted_leaves_it_to_be_routed_anew(monkeypatch):
    if not on_postgresql():
        pytest.skip("on SQLite an acceptance and the change exclude each other")
    old, new = connect("Old"), connect("New")
    streams.edit("reports", {"connection": str(old.uid)}, ACTOR, NOW)
    at = routing.at

    def change_meanwhile(epoch):
        found = at(epoch)
        elsewhere(lambda: streams.edit("reports", {"connection": str(new.uid)}, ACTOR, NOW))
        return found

    monkeypatch.setattr(routing, "at", change_meanwhile)
    message = accept.accept(submission(stream="reports"), NOW)
    monkeypatch.undo()
    assert only(message).connection == old
    rerouting.reroute(NOW)
    assert only(message).connection == new


@pytest.mark.django_db(transaction=True)
def test_two_edits_of_a_stream_at_once_both_stay():
    office = connect()
    for _ in range(10):
        Stream.objects.filter(key="reports").update(connection=None, reply_to="")
        answers = at_once([
            lambda: streams.edit("reports", {"connection": str(office.uid)}, ACTOR, NOW),
            lambda: streams.edit("reports", {"reply_to": "r@example.org"}, ACTOR, NOW),
        ])  # fmt: skip
        assert not any(isinstance(answer, Exception) for answer in answers)
        stream = Stream.objects.get(key="reports")
        assert (stream.connection, stream.reply_to) == (office, "r@example.org")


@pytest.mark.django_db(transaction=True)
def test_staging_and_changing_the_routing_at_once_never_wait_for_each_other():
    """On PostgreSQL both hold rows of connection and instance; taken in two orders, one would be killed."""
    office, spare = connect("Office"), connect("Spare")
    connections.edit(str(spare.uid), {"backup": str(office.uid)}, ACTOR, NOW)

    changed = threading.Event()

    def work():
        outcomes = []
        until = time.monotonic() + 60
        while time.monotonic() < until and not (changed.is_set() and outcomes):
            try:
                rerouting.reroute(NOW)
                lease = lease_of(office)
                for claim in queue.claim(lease, 1, NOW):
                    try:
                        stage(lease, claim, NOW)
                    except Stale:
                        recovery.put_back(lease, [claim], NOW)
                    else:
                        settle(lease, report(claim, DeliveryState.QUEUED), NOW)
                    outcomes.append(claim)
            except Stale:
                continue
        return len(outcomes)

    def change():
        for number in range(40):
            connections.edit(str(office.uid), {"sender_name": f"Office {number}"}, ACTOR, NOW)
            connections.make_default(str(office.uid), ACTOR, NOW)
            connections.edit(str(office.uid), {"is_default": False}, ACTOR, NOW, LeaveNone())
        changed.set()

    post(connection="Office")
    answers = at_once([work, change])
    assert not any(isinstance(answer, Exception) for answer in answers), answers
    assert answers[0] > 0


@pytest.mark.django_db(transaction=True)
def test_an_edit_does_not_write_back_the_health_that_a_courier_noted_meanwhile():
    office = connect()
    if not on_postgresql():
        pytest.skip("on SQLite an edit and a courier's note exclude each other")

    def note():
        sql(
            "UPDATE ledger_connection SET health = 'locked', health_why = 'sign_in_refused' WHERE id = %s",
            office.pk,
        )

    for _ in range(30):
        sql("UPDATE ledger_connection SET health = 'ready' WHERE id = %s", office.pk)
        at_once([lambda: connections.edit(str(office.uid), {"name": "Other"}, ACTOR, NOW), note])
        assert fresh(office).health == "locked"


def test_an_epoch_is_never_asked_of_a_database_without_its_row():
    assert Instance.objects.count() == 1
    assert Message.objects.count() == Verification.objects.count() == 0
    assert states() == []


def test_a_retry_of_a_doubt_keeps_its_epoch_mark_until_routed_anew():
    office = connect()
    message = post()
    in_doubt(office)
    instance.bump()
    assert queue.claim(lease_of(office), 10, later(hours=1)) == []
    assert rerouting.reroute(NOW) == 1
    assert only(message).state == "in_doubt"
    assert len(queue.claim(lease_of(office), 10, later(hours=1))) == 1


def test_content_is_the_same_whatever_became_of_the_route():
    office = connect()
    made = content(body="kept")
    message = post(content=made)
    connections.deactivate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    assert contents.content_of(message) == made


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not on_postgresql(), reason="on SQLite writers exclude each other")
def test_l3_a_change_has_its_turn_between_the_marks_of_many_lanes():
    """Else marks that overlap, one behind the other, keep it from what they all share, as long as they come."""
    one, two = lease_of(connect("One")), lease_of(connect("Two"))

    def change():
        with instance.alone():
            instance.bump()

    def mark_without_waiting():
        with transaction.atomic():
            sql("SET LOCAL lock_timeout = '200ms'")
            return queue.hold(two, marking=True)

    before, waiting = epoch(), threading.Thread(target=lambda: elsewhere(change))
    with transaction.atomic():
        queue.hold(one, marking=True)
        waiting.start()
        while not sql("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.01)
        with pytest.raises(OperationalError):
            elsewhere(mark_without_waiting)
    waiting.join()
    with transaction.atomic():
        assert queue.hold(two, marking=True).routing_epoch == before + 1
    with transaction.atomic():
        database.lock(instance.CONFIGURATION_LOCK)  # as while a form goes, with all that it was sent
        assert elsewhere(mark_without_waiting).open
