"""Messages as people ask about them: lists, release, cancel, resend, and what is forgotten when."""

from dataclasses import replace
from uuid import UUID

import pytest
from django.utils import translation

from ledger.kit import (
    ACTOR,
    NOW,
    accepted,
    claimed,
    codes,
    connect,
    deliveries,
    events,
    fault_codes,
    in_doubt,
    later,
    lease_of,
    only,
    post,
    report,
    settle,
    stage,
    staged,
)  # fmt: skip
from vaguemestre.ledger import (
    claims,
    connections,
    keys,
    messages,
    queue,
    rerouting,
    resources,
    retention,
    streams,
)
from vaguemestre.ledger.contents import ContentGone, content_of
from vaguemestre.ledger.messages import Filter
from vaguemestre.ledger.models import Attempt, Chunk, Idempotency, Message
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState

pytestmark = pytest.mark.django_db


def subjects(**wanted):
    return [message.subject for message in messages.listing(Filter(**wanted), None, 50).items]


# lists


def test_pages_follow_each_other_without_gap_or_double():
    connect()
    for number in range(7):
        post(subject=f"Number {number}")
    seen, cursor = [], None
    for size in (3, 3, 1):
        page = messages.listing(Filter(), cursor, 3)
        assert len(page.items) == size
        seen += [message.subject for message in page.items]
        cursor = page.next
        post(subject="a new one meanwhile")
    assert cursor is None
    assert seen == [f"Number {number}" for number in range(6, -1, -1)]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "9" * 5000, "\u0663", "\0"])
def test_an_unreadable_cursor_is_the_beginning(cursor):
    connect()
    post()
    assert len(messages.listing(Filter(), cursor, 10).items) == 1


def test_lists_are_filtered_by_state_stream_connection_and_submitter():
    office, other = connect(), connect("Other")
    key, _ = keys.create("Shop", ["send"], ACTOR, NOW)
    post(subject="one", connection="Office", stream="reports", submitter=key)
    post(subject="two", connection="Other")
    post(subject="three")
    assert subjects(state="queued") == ["two", "one"]
    assert subjects(state="held") == ["three"]
    assert subjects(stream="reports") == ["one"]
    assert subjects(connection=other.pk) == ["two"]
    assert subjects(connection=office.pk, state="held") == []
    assert subjects(submitter=key) == ["one"]
    assert subjects() == ["three", "two", "one"]


def test_lists_are_searched_by_recipient_subject_and_identifiers():
    connect()
    first = post("anna@example.com", "bert@example.com", subject="Invoice 17", headers=["Message-ID: <x@y>"])
    post("carl@example.com", subject="Report 100%_done")
    assert subjects(search="ANNA") == ["Invoice 17"]
    assert subjects(search="invoice") == ["Invoice 17"]
    assert subjects(search="<x@y>") == ["Invoice 17"]
    assert subjects(search=str(first.uid)) == ["Invoice 17"]
    assert subjects(search=first.uid.hex) == ["Invoice 17"]
    assert subjects(search="%_") == ["Report 100%_done"]
    assert subjects(search="%") == ["Report 100%_done"]
    assert subjects(search="example.com") == ["Report 100%_done", "Invoice 17"]
    assert subjects(search="nobody") == []


@pytest.mark.parametrize("text", ["\0", "\ud800", "'; DROP TABLE ledger_message; --", "x" * 10_000])
def test_no_search_breaks_the_list(text):
    connect()
    post()
    assert subjects(search=text) == []


@pytest.mark.parametrize("uid", ["", "nothing", "0" * 32, "\0"])
def test_a_message_that_is_not_there_is_said(uid):
    for act in (messages.find, *(lambda uid, act=act: act(uid, ACTOR, NOW) for act in ACTS)):
        with pytest.raises(Missing):
            act(uid)


ACTS = (messages.release, messages.cancel, messages.resend)


def test_a_submitter_finds_only_its_own():
    connect()
    mine, _ = keys.create("Mine", ["send"], ACTOR, NOW)
    message = post(submitter=mine)
    other, _ = keys.create("Other", ["send"], ACTOR, NOW)
    assert messages.find(str(message.uid), mine) == message
    with pytest.raises(Missing):
        messages.find(str(message.uid), other)


# release


def test_releasing_lets_what_waits_go_at_once():
    office = connect()
    message = post(send_at=later(days=1))
    messages.release(str(message.uid), ACTOR, NOW)
    assert only(message).next_attempt_at == NOW
    assert codes(only(message)) == ["accepted_here", "released"]
    assert len(queue.claim(lease_of(office), 10, NOW)) == 1


def test_releasing_routes_now():
    message = post()
    office = connect()
    messages.release(str(message.uid), ACTOR, NOW)
    assert (only(message).state, only(message).connection) == ("queued", office)


def test_releasing_without_a_route_is_a_conflict():
    message = post()
    with pytest.raises(Conflict) as caught:
        messages.release(str(message.uid), ACTOR, NOW)
    assert (caught.value.code, caught.value.facts) == ("no_route", {"reason": "no_active_connection"})
    assert codes(only(message)) == ["accepted_here"]


def test_releasing_what_does_not_wait_is_a_conflict():
    office = connect()
    message = post()
    claimed(office)
    with pytest.raises(Conflict) as caught:
        messages.release(str(message.uid), ACTOR, NOW)
    assert caught.value.code == "nothing_waits"


# cancel


def test_cancelling_ends_what_has_not_left():
    office = connect()
    message = post("a@example.com", "b@example.com", "c@example.com")
    lease, claim = staged(office)
    settlements = [
        claims.Settlement(claim.duties[0].id, DeliveryState.ACCEPTED, Reply(250, "Ok")),
        claims.Settlement(claim.duties[1].id, DeliveryState.QUEUED, delay_until=later(minutes=1)),
        claims.Settlement(claim.duties[2].id, DeliveryState.IN_DOUBT, doubt="timeout"),
    ]
    whole = report(claim, DeliveryState.ACCEPTED)
    settle(lease, replace(whole, settlements=tuple(settlements)), NOW)
    messages.cancel(str(message.uid), ACTOR, later(minutes=2))
    assert [delivery.state for delivery in deliveries(message)] == ["accepted", "cancelled", "cancelled"]
    assert deliveries(message)[1].settled_at == later(minutes=2)
    assert messages.state_of(Message.objects.get()) == "mixed"


def test_cancelling_what_a_courier_holds_is_a_conflict_and_cancels_nothing():
    office = connect(limits={"per_day": 1})  # the day leaves one of the two
    message = post("a@example.com", "b@example.com")
    claims = queue.claim(lease_of(office), 1, NOW)
    assert len(claims) == 1
    with pytest.raises(Conflict) as caught:
        messages.cancel(str(message.uid), ACTOR, NOW)
    assert caught.value.code == "claimed"
    assert [delivery.state for delivery in deliveries(message)] == ["claimed", "queued"]


def test_cancelling_what_has_ended_is_a_conflict():
    office = connect()
    message = post()
    accepted(office)
    with pytest.raises(Conflict) as caught:
        messages.cancel(str(message.uid), ACTOR, NOW)
    assert caught.value.code == "terminal"
    assert codes(only(message)) == ["accepted_here", "attempt"]


# resend


def test_resending_makes_a_linked_message_and_leaves_the_old_one():
    office = connect()
    message = post(
        "a@example.com",
        "b@example.com",
        stream="invoices",
        on_doubt="retry",
        tags=("x",),
        metadata={"k": "v"},
    )
    accepted(office)
    again = messages.resend(str(message.uid), ACTOR, later(days=1))
    assert again.resent_from == message
    assert (again.stream, again.on_doubt, again.tags, again.metadata) == (
        message.stream,
        "retry",
        ["x"],
        {"k": "v"},
    )
    assert (again.via, again.accepted_at) == ("console", later(days=1))
    assert content_of(again) == content_of(message)
    assert [one.recipient for one in deliveries(again)] == [one.recipient for one in deliveries(message)]
    assert {one.state for one in deliveries(message)} == {"accepted"}


def test_a_person_resends_what_a_key_handed_over_that_was_revoked_since():
    connect()
    key = keys.create("Shop", ["send"], ACTOR, NOW)[0]
    message = post(submitter=key)
    assert messages.resend(str(message.uid), ACTOR, NOW).submitter == key
    keys.revoke(str(key.uid), ACTOR, NOW)
    assert messages.resend(str(message.uid), ACTOR, NOW).submitter is None


def test_resending_keeps_a_null_reverse_path():
    connect()
    again = messages.resend(str(post(reverse_path=None).uid), ACTOR, NOW)
    assert only(again).route["reverse_path"] is None


def test_resending_is_routed_afresh():
    connect("Old")
    message = post()
    new = connect("New", is_default=True)
    assert only(messages.resend(str(message.uid), ACTOR, NOW)).connection == new


def test_resending_what_asks_for_a_deleted_connection_is_a_conflict_and_never_leaves_by_another():
    connect("Main")
    gone = connect("Gone")
    message = post(connection="Gone")
    connections.delete(str(gone.uid), ACTOR, NOW)
    with pytest.raises(Conflict) as caught:
        messages.resend(str(message.uid), ACTOR, NOW)
    assert (caught.value.code, caught.value.facts) == ("no_route", {"reason": "explicit_gone"})
    assert Message.objects.count() == 1


def test_resending_without_content_is_a_conflict():
    connect()
    message = post()
    Chunk.objects.all().delete()
    with pytest.raises(Conflict) as caught:
        messages.resend(str(message.uid), ACTOR, NOW)
    assert caught.value.code == "content_gone"


def test_resending_by_a_key_that_may_not_any_more_is_refused():
    connect()
    key, _ = keys.create("Shop", ["send"], ACTOR, NOW, streams=["reports"])
    message = post(submitter=key, stream="reports")
    key.streams = ["invoices"]
    key.save()
    with pytest.raises(Refusal) as caught:
        messages.resend(str(message.uid), "key:Shop", NOW, key)
    assert fault_codes(caught.value) == {("stream", "stream_not_allowed")}


def test_resending_is_held_to_the_rights_of_who_asks():
    boss = connect("Boss", sender_email="ceo@example.org")
    shop, _ = keys.create("Shop", ["send"], ACTOR, NOW, senders=["shop@example.org"])
    admin, _ = keys.create("Admin", ["admin"], ACTOR, NOW)
    limited, _ = keys.create("Till", ["admin"], ACTOR, NOW, senders=["till@example.org"])
    message = post(from_="shop@example.org", connection="Boss")
    Message.objects.update(submitter=shop)
    for by in (shop, limited):
        with pytest.raises(Refusal):
            messages.resend(str(message.uid), f"key:{by.name}", NOW, by)
    for by in (None, admin):
        again = messages.resend(str(message.uid), ACTOR, NOW, by)
        assert (again.submitter, only(again).connection) == (shop, boss)


# figures


def test_depths_and_the_oldest_tell_what_waits():
    office = connect()
    assert messages.depths() == {}
    assert messages.oldest(DeliveryState.HELD) is None
    post("a@example.com", "b@example.com", now=later(hours=1))
    accepted(office, later(hours=1))
    connections.deactivate(str(office.uid), ACTOR, NOW)
    post(now=later(hours=3))
    post(now=later(hours=2))
    assert messages.depths() == {"held": 2}
    assert messages.oldest(DeliveryState.HELD) == later(hours=2)


# what is shown


def test_a_message_is_told_with_its_deliveries_and_attempts():
    office = connect()
    message = post("a@example.com", headers=["Reply-To: r@example.net"], stream="reports", tags=("x",))
    lease, claim = staged(office)
    trouble = {"phase": "rcpt", "cause": "reply", "row": 14, "why": "recipient_refused", "facts": {}}
    settle(
        lease,
        report(claim, DeliveryState.REFUSED, reply=Reply(550, "5.1.1 No such user"), trouble=trouble),
        later(seconds=3),
    )
    with translation.override("en"):
        told = resources.message_resource(messages.find(str(message.uid)), NOW)
    assert (told["state"], told["stream"], told["connection"]) == ("refused", "reports", str(office.uid))
    (delivery,) = told["deliveries"]
    assert delivery["last_reply"] == {"code": 550, "enhanced": "5.1.1", "text": "5.1.1 No such user"}
    assert delivery["trouble"] == "The server refuses this recipient."
    assert delivery["settled_at"] == later(seconds=3)
    assert delivery["connection_name"] == "Office"
    (attempt,) = told["attempts"]
    assert (attempt["id"], attempt["connection_version"], attempt["peer"]) == (
        str(UUID(claim.attempt)),
        1,
        "192.0.2.1",
    )
    assert told["reply_to"] == "r@example.net"


def test_an_accepted_message_answers_its_summary():
    office = connect(is_default=True)
    told = resources.message_summary(post("a@example.com", "b@example.com"))
    assert told["state"] == "queued"
    assert told["connection"] == str(office.uid)
    assert told["reason"]["code"] == "default_override"
    assert told["deliveries"] == [{"recipient": f"{one}@example.com", "state": "queued"} for one in "ab"]


def test_every_event_of_a_life_is_told_in_order():
    office = connect()
    message = post()
    connections.deactivate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    connections.activate(str(office.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    in_doubt(office)
    messages.resolve(str(message.uid), "send_again", ACTOR, NOW)
    accepted(office)
    assert codes(only(message)) == ["accepted_here", "routed", "routed", "in_doubt", "send_again", "attempt"]
    assert [event.state for event in events(only(message))] == [
        "queued", "held", "queued", "in_doubt", "queued", "accepted",
    ]  # fmt: skip
    assert len(messages.events_of(message)) == 6
    assert [attempt.connection for attempt in messages.attempts_of(message)] == [office, office]


# retention


def test_contents_go_at_the_end_of_their_streams_retention_and_the_story_stays():
    office = connect()
    streams.edit("reports", {"retention_days": 7}, ACTOR, NOW)
    short, long = post(stream="reports"), post()
    for _ in range(2):
        lease = lease_of(office)
        for claim in queue.claim(lease, 1, NOW):
            stage(lease, claim, NOW)
            settle(lease, report(claim, DeliveryState.ACCEPTED), NOW)
    assert retention.sweep(later(days=7)) == 0
    assert retention.sweep(later(days=7, seconds=1)) == 1
    with pytest.raises(ContentGone):
        content_of(short)
    assert content_of(long)
    assert retention.sweep(later(days=30, seconds=1)) == 1
    assert Message.objects.count() == 2
    assert Attempt.objects.count() == 2
    assert resources.message_resource(messages.find(str(short.uid)), NOW)["state"] == "accepted"


@pytest.mark.parametrize(("name", "most"), [("BATCH", 2), ("BATCH_BYTES", 120)])
def test_contents_go_some_at_a_time_the_oldest_first(name, most, monkeypatch):
    monkeypatch.setattr(retention, name, most)
    posted = [post() for _ in range(5)]
    for message in posted:
        messages.cancel(str(message.uid), ACTOR, NOW)
    assert 40 < posted[0].size <= 60
    assert retention.sweep(later(days=31)) == 2
    assert [Chunk.objects.filter(message=message).exists() for message in posted] == [False] * 2 + [True] * 3
    assert [retention.sweep(later(days=31)) for _ in range(3)] == [2, 1, 0]


def test_a_content_that_is_larger_than_what_goes_at_once_goes_alone(monkeypatch):
    monkeypatch.setattr(retention, "BATCH_BYTES", 1)
    for message in (post(), post()):
        messages.cancel(str(message.uid), ACTOR, NOW)
    assert [retention.sweep(later(days=31)) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("state", ["queued", "held", "claimed", "in_doubt"])
def test_contents_of_what_has_not_ended_stay(state):
    office = connect()
    message = post("a@example.com", "b@example.com")
    messages.cancel(str(message.uid), ACTOR, NOW)
    first = deliveries(message)[0]
    columns = {"settled_at": None, "state": state}
    if state == "queued":
        columns["next_attempt_at"] = NOW
    if state == "claimed":
        columns |= {"lane_epoch": 1, "claimed_at": NOW, "attempt": message.uid}
    if state == "in_doubt":
        columns |= {"doubts": 1, "doubt_reason": "timeout"}
    type(first).objects.filter(pk=first.pk).update(**columns)
    assert retention.sweep(later(days=400)) == 0
    assert content_of(message)
    assert office


def test_old_idempotency_keys_are_swept_too():
    Idempotency.objects.create(submitter="a", key="b", digest="c", status=202, created_at=NOW)
    retention.sweep(later(days=31))
    assert not Idempotency.objects.exists()


def test_a_list_asks_as_often_for_fifty_messages_as_for_two(django_assert_max_num_queries):
    connect()
    for number in range(50):
        post(f"r{number}@example.com")
    with django_assert_max_num_queries(8):
        told = [
            resources.message_row(message) for message in messages.listing(messages.Filter(), None, 50).items
        ]
    assert len(told) == 50


def test_the_messages_that_ask_for_a_connection_are_counted_while_they_have_not_left():
    office, shop = connect(), connect("Shop")
    streams.edit("invoices", {"connection": str(shop.uid)}, ACTOR, NOW)
    assert messages.waiting_on(office) == 0
    first = post("a@example.com", "b@example.com", connection="Office")
    post(connection="Office", stream="invoices")
    assert (messages.waiting_on(office), messages.waiting_on(shop)) == (2, 0)
    post(stream="invoices")
    connections.deactivate(str(shop.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    assert messages.waiting_on(shop) == 1
    messages.cancel(str(first.uid), ACTOR, NOW)
    assert (messages.waiting_on(office), messages.waiting_on(shop)) == (1, 1)
