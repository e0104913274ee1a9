"""While sending is paused nothing is claimed or staged; what a person resumes leaves, or was cancelled first."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, transaction
from django.db import connections as databases

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    claimed,
    codes,
    connect,
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
    states,
)
from vaguemestre.ledger import lanes, queue, recovery, sending
from vaguemestre.ledger.models import Installation, Instance, Version
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.installation import PauseWhy

pytestmark = pytest.mark.django_db


def test_what_is_handed_over_meanwhile_is_accepted_and_nothing_is_claimed():
    office = connect()
    lease = lease_of(office)
    assert [facts.connection_id for facts in lanes.survey(NOW)] == [office.pk]
    begun = sending.pause(ACTOR, NOW)
    assert (begun.why, begun.by, sending.paused()) == (PauseWhy.BY_HAND, ACTOR, begun)
    message = post()
    assert (only(message).state, queue.claim(lease, 10, NOW), lanes.survey(NOW)) == ("queued", [], [])
    sending.resume(ACTOR, later(hours=1))
    assert sending.paused() is None
    assert len(queue.claim(lease, 10, later(hours=1))) == 1


def test_what_was_claimed_is_not_staged_and_what_was_staged_may_end():
    first, second = connect("First"), connect("Second")
    post(connection="First")
    post(connection="Second")
    lease, claim = claimed(first)
    other, gone = staged(second)
    sending.pause(ACTOR, NOW)
    assert queue.record(lease, [claim.mark()], [], NOW).staged == (False,)
    assert settle(other, report(gone, DeliveryState.ACCEPTED, NOW, Reply(250, "2.0.0 Ok")), NOW)
    assert states() == ["accepted", "claimed"]


def test_what_is_paused_already_keeps_its_reason_and_what_is_not_cannot_be_resumed():
    first = sending.pause("courier", NOW, PauseWhy.OLDER, {"reached": 7, "left_off": 3})
    assert sending.pause(ACTOR, later(hours=1)) is None
    assert sending.paused() == first
    assert sending.resume(ACTOR, later(hours=2)).pause == first
    with pytest.raises(Conflict) as refusal:
        sending.resume(ACTOR, later(hours=3))
    assert refusal.value.code == "not_paused"
    noted = Version.objects.filter(kind="sending").order_by("pk").values_list("action", "actor", "changes")
    assert list(noted) == [
        ("paused", "courier", {"why": [None, "older"]}),
        ("resumed", ACTOR, {"why": ["older", None], "cancelled": [None, 0]}),
    ]


def test_what_waited_when_it_began_is_cancelled_and_what_came_since_leaves(monkeypatch):
    monkeypatch.setattr(sending, "BATCH", 2)
    office = connect()
    before = [post(f"r{number}@example.com") for number in range(5)]
    held = post(from_="else@example.net", connection=connect("Closed", active=False).name)
    begun = sending.pause(ACTOR, later(minutes=1))
    since = post("since@example.com", now=later(minutes=2))
    assert sending.waiting(begun) == 6
    resumed = sending.resume(ACTOR, later(minutes=3), cancel_waiting=True)
    assert (resumed.cancelled, resumed.pause) == (6, begun)
    assert {only(message).state for message in [*before, held]} == {"cancelled"}
    assert codes(only(held))[-1] == "cancelled"
    assert only(since).state == "queued"
    assert len(queue.claim(lease_of(office, now=later(minutes=3)), 10, later(minutes=3))) == 1


@pytest.mark.parametrize(("on_doubt", "state"), [("retry", "cancelled"), ("hold", "in_doubt")])
def test_a_doubt_that_would_be_sent_again_by_itself_is_cancelled_and_a_person_s_stays(on_doubt, state):
    office = connect()
    message = post(on_doubt=on_doubt)
    lease, claim = staged(office)
    retry = {"delay_until": later(minutes=10)} if on_doubt == "retry" else {}
    settle(lease, report(claim, DeliveryState.IN_DOUBT, NOW, doubt="connection_lost", **retry), NOW)
    assert (only(message).next_attempt_at is not None) == (on_doubt == "retry")
    sending.pause(ACTOR, later(minutes=1))
    resumed = sending.resume(ACTOR, later(minutes=2), cancel_waiting=True)
    assert (resumed.cancelled, only(message).state) == (int(state == "cancelled"), state)


@pytest.mark.parametrize(("hold", "state"), [(claimed, "queued"), (staged, "in_doubt")])
def test_d11_what_a_courier_had_when_the_copy_was_made_is_cancelled_once_the_next_one_found_it(hold, state):
    office = connect()
    message, waits = post(), post("other@example.com", now=later(minutes=1))
    hold(office)
    sending.pause(ACTOR, later(minutes=2))
    with pytest.raises(Conflict) as refusal:
        sending.resume(ACTOR, later(minutes=3), cancel_waiting=True)
    assert (refusal.value.code, only(message).state) == ("in_hands", "claimed")
    assert (only(waits).state, sending.paused() is None) == ("queued", False)
    lose_lease(office)
    recovery.recover(lease_of(office, "the next courier", later(minutes=4)), later(minutes=4))
    assert only(message).state == state
    assert sending.resume(ACTOR, later(minutes=5), cancel_waiting=True).cancelled == 2
    assert states() == ["cancelled", "cancelled"]


def test_a_resumed_database_is_taken_as_it_is_found_and_is_newer_than_every_mark():
    Installation.objects.create(identity="ours", place="file=7", high_water=5)
    sending.pause("courier", NOW, PauseWhy.ELSEWHERE)
    sending.resume(ACTOR, NOW)
    row = Installation.objects.get()
    assert (row.identity, row.place, row.high_water) == ("ours", "", int(NOW.timestamp() * 1000))
    Installation.objects.update(high_water=int(later(days=30).timestamp() * 1000))
    sending.pause("courier", NOW, PauseWhy.OLDER)
    sending.resume(ACTOR, NOW)
    assert Installation.objects.get().high_water == int(later(days=30).timestamp() * 1000) + 1
    ahead = int(later(days=60).timestamp() * 1000)
    sending.pause("courier", NOW, PauseWhy.OLDER, {"reached": ahead, "left_off": 1})
    sending.resume(ACTOR, NOW)
    assert Installation.objects.get().high_water == ahead + 1


def test_a_pause_by_hand_that_ends_confirms_no_place():
    Installation.objects.create(identity="ours", place="file=7", high_water=5)
    sending.pause(ACTOR, NOW)
    sending.resume(ACTOR, NOW)
    row = Installation.objects.get()
    assert (row.place, row.high_water) == ("file=7", 5)


def test_what_a_person_paused_and_may_be_a_copy_is_told_as_one_since_the_person_paused_it():
    sending.pause(ACTOR, NOW)
    told = sending.pause("courier", later(hours=1), PauseWhy.ELSEWHERE)
    assert (told.why, told.at, sending.paused()) == (PauseWhy.ELSEWHERE, NOW, told)


def test_cancelling_stops_where_somebody_else_lets_them_leave_meanwhile(monkeypatch):
    monkeypatch.setattr(sending, "BATCH", 1)
    connect()
    for number in range(3):
        post(f"r{number}@example.com")
    sending.pause(ACTOR, later(minutes=1))
    cancel = sending._cancel

    def interrupted(*arguments):
        sending.resume("user:somebody-else", later(minutes=2))
        return cancel(*arguments)

    monkeypatch.setattr(sending, "_cancel", interrupted)
    with pytest.raises(Conflict):
        sending.resume(ACTOR, later(minutes=3), cancel_waiting=True)
    assert states() == ["cancelled", "queued", "queued"]


def test_a_pause_without_its_time_cannot_exist():
    for values in ({"paused": "by_hand"}, {"paused_at": NOW}, {"paused": "of_late", "paused_at": NOW}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Instance.objects.update(**values)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not on_postgresql(), reason="on SQLite writers exclude each other")
def test_a_stage_waits_for_a_pause_that_is_being_made_and_is_refused():
    office = connect()
    post()
    lease, claim = claimed(office)

    def stage():
        try:
            return queue.record(lease, [claim.mark()], [], NOW).staged
        finally:
            databases.close_all()

    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with ThreadPoolExecutor(1) as executor:
        with transaction.atomic():
            sending.pause(ACTOR, NOW)
            staging = executor.submit(stage)
            while not (staging.done() or sql(waiting)):
                pass
        assert staging.result(10) == (False,)
    assert states() == ["claimed"]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_pause_and_resume_at_once_each_act_is_done_once():
    assert len([one for one in at_once([lambda: sending.pause(ACTOR, NOW)] * 8) if one]) == 1
    answers = at_once([lambda: sending.resume(ACTOR, NOW)] * 8)
    assert len([one for one in answers if isinstance(one, sending.Resumed)]) == 1
    assert len([one for one in answers if isinstance(one, Conflict)]) == 7


@pytest.mark.skipif(on_postgresql(), reason="a small table is read whole")
def test_what_waited_before_is_found_by_its_index_and_not_among_all_that_was_ever_sent():
    begun = sending.pause(ACTOR, NOW)
    found = sending._before(begun)
    plan = found.explain()
    assert "SCAN ledger_delivery USING INDEX delivery_routes" in plan, plan
