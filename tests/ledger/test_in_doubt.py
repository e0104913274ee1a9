"""L6: what may have arrived stays in doubt until it was tried again byte for byte, or a person decides."""

import dataclasses
import platform
from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction

from ledger import kit
from ledger.kit import (
    ACTOR,
    NOW,
    claimed,
    codes,
    connect,
    content,
    events,
    fresh,
    in_doubt,
    later,
    lease_of,
    lose_lease,
    only,
    post,
    report,
    settle,
    stage,
    staged,
)  # fmt: skip
from vaguemestre.ledger import claims, connections, messages, queue, recovery, rerouting, streams
from vaguemestre.ledger.models import Chunk, Message
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db

DELAY = timedelta(seconds=600)


@pytest.fixture
def office():
    return connect()


def retried(connection, now):
    """The retry of what is in doubt, staged."""
    lease, claim = claimed(connection, now)
    stage(lease, claim, now)
    return lease, claim


def test_a_courier_that_dies_before_the_stage_leaves_its_claim_queued(office):
    message = post()
    claimed(office)
    lose_lease(office)
    assert recovery.recover(lease_of(office, "another"), NOW) == 1
    delivery = only(message)
    assert (delivery.state, delivery.next_attempt_at) == ("queued", NOW)
    assert codes(delivery) == ["accepted_here", "put_back"]


def test_d4_a_courier_that_dies_after_the_stage_leaves_its_claim_in_doubt(office):
    message = post()
    staged(office)
    lose_lease(office)
    assert recovery.recover(lease_of(office, "another"), NOW) == 1
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.doubt_reason) == ("in_doubt", 1, "worker_died")
    assert delivery.next_attempt_at == NOW + DELAY
    assert codes(delivery) == ["accepted_here", "in_doubt"]


def test_what_was_staged_and_may_have_gone_out_is_never_put_back_as_queued(office):
    message = post()
    lease, claim = staged(office)
    recovery.put_back(lease, [claim], NOW, {claim.attempt})
    assert (only(message).state, only(message).doubt_reason) == ("in_doubt", "forced_shutdown")


def test_what_was_staged_and_did_not_go_out_is_put_back_without_a_doubt(office):
    message = post()
    lease, claim = staged(office)
    recovery.put_back(lease, [claim], NOW)
    assert (only(message).state, only(message).staged_at, only(message).doubts) == ("queued", None, 0)


def test_d5_a_broken_dialogue_is_tried_again_after_ten_minutes_and_not_before(office):
    message = post()
    in_doubt(office)
    lease = lease_of(office)
    assert only(message).doubt_reason == "connection_lost"
    assert queue.claim(lease, 10, NOW + DELAY - timedelta(seconds=1)) == []
    (claim,) = queue.claim(lease, 10, NOW + DELAY)
    assert claim.duties[0].doubts == 1
    assert only(message).state == "claimed"


@pytest.mark.parametrize(
    ("of_message", "of_stream", "tried_again"),
    [("", "retry", True), ("", "hold", False), ("hold", "retry", False), ("retry", "hold", True)],
)
def test_on_doubt_of_the_message_goes_before_that_of_its_stream(office, of_message, of_stream, tried_again):
    streams.edit("reports", {"on_doubt": of_stream}, ACTOR, NOW)
    message = post(stream="reports", on_doubt=of_message)
    in_doubt(office)
    assert (only(message).next_attempt_at is not None) == tried_again


def test_invoices_are_left_to_a_person_from_the_start(office):
    message = post(stream="invoices")
    in_doubt(office)
    assert only(message).next_attempt_at is None
    assert queue.claim(lease_of(office), 10, later(days=9)) == []


def test_after_a_second_doubt_a_person_decides(office):
    message = post()
    in_doubt(office)
    lease, claim = retried(office, later(minutes=10))
    settle(lease, report(claim, DeliveryState.IN_DOUBT, doubt="timeout"), later(minutes=11))
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 2, None)


def test_a_retry_that_dies_before_its_stage_returns_to_doubt_and_is_tried_again(office):
    message = post()
    in_doubt(office)
    claimed(office, later(minutes=10))
    lose_lease(office)
    recovery.recover(lease_of(office, "another", later(minutes=11)), later(minutes=11))
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 1, later(minutes=10))


def test_a_deferral_during_the_retry_returns_it_to_doubt(office):
    message = post()
    in_doubt(office)
    lease, claim = retried(office, later(minutes=10))
    reply = Reply(450, "4.2.0 Later")
    settle(
        lease,
        report(claim, DeliveryState.IN_DOUBT, reply=reply, delay_until=later(minutes=15)),
        later(minutes=10),
    )
    delivery = only(message)
    assert (delivery.state, delivery.doubts, delivery.next_attempt_at) == ("in_doubt", 1, later(minutes=15))
    assert delivery.last_code == 450


@pytest.mark.parametrize("state", [DeliveryState.QUEUED, DeliveryState.REFUSED, DeliveryState.EXPIRED])
def test_the_database_refuses_a_retry_that_would_forget_the_doubt(office, state):
    message = post()
    in_doubt(office)
    lease, claim = retried(office, later(minutes=10))
    with pytest.raises(IntegrityError), transaction.atomic():
        settle(lease, report(claim, state, delay_until=later(minutes=15)), later(minutes=10))
    assert only(message).state == "claimed"


def test_a_retry_that_is_accepted_ends_it(office):
    message = post()
    in_doubt(office)
    lease, claim = retried(office, later(minutes=10))
    settle(lease, report(claim, DeliveryState.ACCEPTED), later(minutes=10))
    assert only(message).state == "accepted"


def test_a_retry_travels_apart_from_what_was_never_tried(office):
    post("a@example.com", "b@example.com", send_at=later(minutes=10))
    message = Message.objects.get()
    message.delivery_set.filter(recipient="a@example.com").update(
        state="in_doubt", doubts=1, doubt_reason="timeout"
    )
    claims = queue.claim(lease_of(office), 10, later(minutes=10))
    assert sorted((claim.duties[0].recipient, claim.duties[0].doubts) for claim in claims) == [
        ("a@example.com", 1),
        ("b@example.com", 0),
    ]


# byte for byte


def test_a_retry_is_byte_for_byte_what_was_sent_before(office, monkeypatch):
    connections.edit(
        str(office.uid), {"sender_name": "L'\u00e9quipe", "reply_to": "r@example.org"}, ACTOR, NOW
    )
    message = post(content=content(subject="=?utf-8?q?=C3=A9?=", body="x" * 300_000))
    route = only(message).route
    first = kit.rendered(message, route)
    monkeypatch.setattr(platform, "node", lambda: "another-host.example.net")
    public = dataclasses.replace(django_settings.ENVIRONMENT, base_url="https://renamed.example.net")
    monkeypatch.setattr(django_settings, "ENVIRONMENT", public)
    in_doubt(office)
    _, claim = claimed(office, later(days=3))
    assert kit.rendered(message, claim.route) == first


def test_the_trace_field_tells_the_time_of_acceptance(office):
    message = post()
    rendered = kit.rendered(message, only(message).route)
    assert rendered.startswith(b"Received: by ")
    assert b"Tue, 24 Nov 2026 12:00:00 +0000" in rendered
    assert message.uid.hex.encode() in rendered


# re-routing


def test_routing_anew_leaves_a_doubt_as_it_is_where_the_answer_is_the_same(office):
    message = post()
    in_doubt(office)
    before = only(message)
    connections.edit(str(office.uid), {"allowed_senders": ["x@example.net"]}, ACTOR, NOW)
    rerouting.reroute(NOW)
    after = only(message)
    assert (after.state, after.connection, after.route, after.next_attempt_at) == (
        before.state,
        before.connection,
        before.route,
        before.next_attempt_at,
    )
    assert after.route_epoch == before.route_epoch + 1


@pytest.mark.parametrize("change", ["another default", "another reply-to", "inactive", "deleted"])
def test_a_doubt_whose_route_would_be_another_keeps_its_own_and_waits_for_a_person(office, change):
    message = post()
    in_doubt(office)
    before = only(message)
    if change == "another default":
        connect("Main", is_default=True)
    elif change == "another reply-to":
        connections.edit(str(office.uid), {"reply_to": "new@example.org"}, ACTOR, NOW)
    elif change == "inactive":
        connections.deactivate(str(office.uid), ACTOR, NOW)
    else:
        connections.delete(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    after = only(message)
    assert (after.state, after.connection_id, after.route) == ("in_doubt", before.connection_id, before.route)
    assert after.next_attempt_at is None
    assert codes(after)[-1] == "waits_for_person"
    assert queue.claim(lease_of(office), 10, later(days=1)) == []


def test_a_retry_that_was_claimed_when_the_route_changed_waits_for_a_person(office):
    message = post()
    in_doubt(office)
    lease, claim = claimed(office, later(minutes=10))
    connect("Main", is_default=True)
    with pytest.raises(claims.Stale):
        stage(lease, claim, later(minutes=10))
    recovery.put_back(lease, [claim], later(minutes=10))
    rerouting.reroute(later(minutes=10))
    assert (only(message).state, only(message).next_attempt_at) == ("in_doubt", None)


# a person


def test_a_person_says_that_it_arrived(office):
    message = post()
    claim = in_doubt(office)
    messages.resolve(str(message.uid), "arrived", ACTOR, NOW, attempt=str(UUID(claim.attempt)))
    delivery = only(message)
    assert (delivery.state, delivery.settled_at) == ("accepted", NOW)
    assert events(delivery)[-1].detail == {"code": "arrived", "actor": ACTOR}


def test_a_person_has_it_sent_again_by_a_fresh_route_and_the_event_says_what_differs(office):
    message = post()
    in_doubt(office)
    main = connect("Main", is_default=True, reply_to="desk@example.org")
    messages.resolve(str(message.uid), "send_again", ACTOR, NOW)
    delivery = only(message)
    assert (delivery.state, delivery.connection, delivery.doubts, delivery.doubt_reason) == (
        "queued",
        main,
        0,
        "",
    )
    assert delivery.next_attempt_at == NOW
    assert events(delivery)[-1].detail["differs"] == ["connection", "sender", "reply_to"]


def test_sent_again_without_a_route_it_is_held(office):
    message = post()
    in_doubt(office)
    connections.deactivate(str(office.uid), ACTOR, NOW)
    messages.resolve(str(message.uid), "send_again", ACTOR, NOW)
    assert only(message).state == "held"


def test_d10_a_second_click_is_a_conflict(office):
    message = post()
    claim = in_doubt(office)
    messages.resolve(str(message.uid), "send_again", ACTOR, NOW, attempt=str(UUID(claim.attempt)))
    with pytest.raises(Conflict) as caught:
        messages.resolve(str(message.uid), "send_again", ACTOR, NOW, attempt=str(UUID(claim.attempt)))
    assert caught.value.code == "not_in_doubt"
    in_doubt(office)
    with pytest.raises(Conflict) as caught:
        messages.resolve(str(message.uid), "send_again", ACTOR, NOW, attempt=str(UUID(claim.attempt)))
    assert caught.value.code == "stale_attempt"
    assert only(message).state == "in_doubt"


def test_a_person_decides_for_some_recipients_only(office):
    message = post("a@example.com", "b@example.com")
    in_doubt(office)
    messages.resolve(str(message.uid), "arrived", ACTOR, NOW, recipients=["b@example.com"])
    assert [delivery.state for delivery in messages.deliveries_of(message)] == ["in_doubt", "accepted"]
    assert messages.state_of(fresh(message)) == "mixed"
    with pytest.raises(Conflict) as caught:
        messages.resolve(
            str(message.uid), "arrived", ACTOR, NOW, recipients=["a@example.com", "b@example.com"]
        )
    assert caught.value.code == "not_in_doubt"


def test_an_outcome_that_is_neither_sends_nothing(office):
    message = post()
    in_doubt(office)
    with pytest.raises(Refusal):
        messages.resolve(str(message.uid), "arived", ACTOR, NOW)
    assert only(message).state == "in_doubt"


def test_what_is_not_in_doubt_cannot_be_resolved(office):
    message = post()
    with pytest.raises(Conflict) as caught:
        messages.resolve(str(message.uid), "arrived", ACTOR, NOW)
    assert caught.value.code == "not_in_doubt"
    assert only(message).state == "queued"


def test_a_doubt_may_be_cancelled(office):
    message = post()
    in_doubt(office)
    messages.cancel(str(message.uid), ACTOR, NOW)
    assert only(message).state == "cancelled"


def test_content_that_is_gone_ends_a_claim_but_not_a_doubt(office):
    message = post()
    lease, claim = claimed(office)
    Chunk.objects.all().delete()
    recovery.refuse_gone(lease, claim, NOW)
    assert only(message).state == "expired"
    doubtful = post()
    in_doubt(office)
    lease, claim = claimed(office, later(minutes=10))
    recovery.refuse_gone(lease, claim, later(minutes=10))
    assert (only(doubtful).state, only(doubtful).next_attempt_at) == ("in_doubt", None)
