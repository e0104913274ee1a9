"""Many messages in one transaction: each with an answer of its own, in order, whatever becomes of the others."""

import hashlib
from dataclasses import replace

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from ledger.kit import (
    ACTOR,
    NOW,
    at_once,
    codes,
    connect,
    content,
    deliveries,
    elsewhere,
    epoch,
    fault_codes,
    later,
    lease_of,
    on_postgresql,
    only,
    post,
    sql,
    submission,
)  # fmt: skip
from vaguemestre.ledger import (
    accept,
    connections,
    contents,
    keys,
    messages,
    queue,
    retention,
    routing,
    streams,
)
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.draft import draft
from vaguemestre.ledger.models import ApiKey, Chunk, Delivery, Event, Handover, Message, Parcel, Stream
from vaguemestre.ledger.parcels import Parcel as Arrived
from vaguemestre.ledger.refusals import Refusal

pytestmark = pytest.mark.django_db


def take(*submissions, now=NOW):
    return accept.accept_all(submissions, now)


def numbered(count, **values):
    return [submission(subject=f"n{number}", **values) for number in range(count)]


def handed(text="the same", **values):
    return submission(handover=hashlib.sha256(text.encode()).digest(), **values)


def stored(answer):
    return messages.find(str(answer.uid))


def key(**limits):
    return keys.create("Shop", ["send"], ACTOR, NOW, **limits)[0]


# answers


def test_each_of_a_group_has_its_answer_in_order():
    office = connect()
    answers = take(*numbered(20))
    assert [stored(answer).subject for answer in answers] == [f"n{number}" for number in range(20)]
    assert {(answer.state, answer.connection, answer.repeated) for answer in answers} == {
        ("queued", str(office.uid), False)
    }
    assert [only(stored(answer)).pk for answer in answers] == sorted(
        Delivery.objects.values_list("pk", flat=True)
    )


def test_an_answer_tells_what_the_ledger_keeps():
    connect("Main", is_default=True)
    (answer,) = take(submission("a@example.com", "b@example.com"))
    kept = deliveries(stored(answer))
    assert answer.recipients == tuple(delivery.recipient for delivery in kept)
    assert (answer.state, answer.reason) == (kept[0].state, kept[0].reason)
    assert answer.connection == str(kept[0].connection.uid)
    assert [codes(delivery) for delivery in kept] == [["accepted_here"]] * 2


def test_what_is_held_says_so():
    (answer,) = take(submission())
    assert (answer.state, answer.connection, answer.reason["code"]) == ("held", None, "no_active_connection")


def test_one_that_is_refused_harms_no_other():
    connect()
    answers = take(
        submission(subject="first"),
        submission(stream="nowhere"),
        submission(from_="no address"),
        submission(subject="last"),
        submission(connection="nobody", on_doubt="perhaps"),
    )
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, True, False, True]
    assert fault_codes(answers[1]) == {("stream", "stream_unknown")}
    assert sorted(Message.objects.values_list("subject", flat=True)) == ["first", "last"]
    assert (Chunk.objects.count(), Delivery.objects.count(), Event.objects.count()) == (2, 2, 2)


def test_of_a_group_that_is_refused_nothing_is_stored():
    assert all(isinstance(answer, Refusal) for answer in take(*numbered(3, stream="nowhere")))
    assert take() == []
    assert Message.objects.count() == 0


def test_what_was_asked_of_dsn_is_kept_with_message_and_recipient():
    connect()
    (answer,) = take(
        submission(
            "a@example.com",
            "b@example.com",
            ret="HDRS",
            envid="QQ314159",
            notify={"a@example.com": "SUCCESS,FAILURE"},
            orcpt={"b@example.com": "rfc822;bob@example.com"},
        )
    )
    message = stored(answer)
    assert (message.ret, message.envid) == ("HDRS", "QQ314159")
    assert [(one.notify, one.orcpt) for one in deliveries(message)] == [
        ("SUCCESS,FAILURE", ""),
        ("", "rfc822;bob@example.com"),
    ]


def test_messages_are_claimed_in_the_order_of_their_acceptance():
    office = connect()
    take(*numbered(7))
    take(*numbered(5))
    claims = queue.claim(lease_of(office), 12, NOW)
    assert [claim.message_id for claim in claims] == sorted(Message.objects.values_list("pk", flat=True))


def test_routing_anew_would_answer_what_was_stored():
    connect("Main", reply_to="desk@example.org")
    shop = connect("Shop", allowed_senders=["*@allowed.example"])
    streams.edit("reports", {"connection": str(shop.uid), "reply_to": "reports@example.org"}, ACTOR, NOW)
    answers = take(
        submission(from_="Boss <boss@caf\u00e9.example>", headers=["Reply-To: Boss <boss@example.net>"]),
        submission(from_="x@allowed.example", reverse_path=None),
        submission(from_=None, stream="reports"),
        submission(connection="main"),
        submission(connection=str(shop.uid), headers=["Reply-To: =?utf-8?q?caf=C3=A9?= <a@b.example>"]),
    )
    present = routing.at(epoch())
    for answer in answers:
        message = stored(answer)
        columns = accept.decision_columns(accept.decide(message, message.stream, present.configuration))
        kept = only(message)
        assert (kept.connection_id, kept.route, kept.reason, kept.rules) == (
            columns["connection_id"],
            columns["route"],
            columns["reason"],
            columns["rules"],
        )


def test_a_group_of_sixty_four_takes_no_more_statements_than_one_message():
    connect()
    take(submission(submitter=key()))
    with CaptureQueriesContext(database) as one:
        take(handed("one"))
    with CaptureQueriesContext(database) as many:
        take(*(handed(str(number), subject=str(number)) for number in range(64)))
    assert len(many) == len(one) <= 14


# keys


@pytest.mark.parametrize("known", [False, True], ids=["at first", "once the configuration is known"])
@pytest.mark.django_db(transaction=True)
def test_a_key_that_was_revoked_since_it_came_is_refused_alone(known):
    connect()
    if known:
        take(submission())
    revoked, valid = key(), key()
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=NOW)
    answers = take(submission(submitter=valid), submission(submitter=revoked), submission())
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, False]
    assert fault_codes(answers[1]) == {("key", "key_revoked")}
    assert Message.objects.count() == 2 + known


# the configuration, kept between calls


@pytest.mark.django_db(transaction=True)
def test_a_change_made_elsewhere_is_seen_at_once():
    old, new = connect("Old"), connect("New")
    streams.edit("reports", {"connection": str(old.uid)}, ACTOR, NOW)
    for connection in (new, old) * 5:
        elsewhere(lambda uid=str(connection.uid): streams.edit("reports", {"connection": uid}, ACTOR, NOW))
        (answer,) = take(submission(stream="reports"))
        assert answer.connection == str(connection.uid)
        assert only(stored(answer)).route_epoch == epoch()


@pytest.mark.django_db(transaction=True)
def test_a_change_that_was_undone_leaves_no_trace_in_what_is_kept():
    office = connect()
    with pytest.raises(RuntimeError):
        _deactivate_and_fail(office)
    connections.edit(str(office.uid), {"sender_name": "Another change of the same number"}, ACTOR, NOW)
    (answer,) = take(submission())
    assert (answer.state, answer.connection) == ("queued", str(office.uid))


def _deactivate_and_fail(office):
    with accept.writing():
        connections.deactivate(str(office.uid), ACTOR, NOW)
        assert take(submission())[0].state == "held"
        raise RuntimeError


@pytest.mark.django_db(transaction=True)
def test_under_one_configuration_it_is_read_once():
    connect()
    take(submission())
    with CaptureQueriesContext(database) as again:
        take(submission())
    assert not [one for one in again if "ledger_connection" in one["sql"] or "ledger_stream" in one["sql"]]


@pytest.mark.django_db(transaction=True)
def test_a_stream_that_is_deleted_meanwhile_is_an_unknown_one_and_harms_no_other(monkeypatch):
    if not on_postgresql():
        pytest.skip("on SQLite an acceptance and the deletion exclude each other")
    connect()
    streams.create({"key": "mine"}, ACTOR, NOW)
    at = routing.at

    def delete_meanwhile(epoch):
        found = at(epoch)
        if Stream.objects.filter(key="mine").exists():
            elsewhere(lambda: streams.delete("mine", ACTOR, NOW))
        return found

    monkeypatch.setattr(routing, "at", delete_meanwhile)
    answers = take(submission(stream="mine"), submission(stream="reports"))
    assert fault_codes(answers[0]) == {("stream", "stream_unknown")}
    assert stored(answers[1]).stream.key == "reports"
    assert Message.objects.count() == 1


# handed over again


def test_the_same_within_a_quarter_of_an_hour_is_the_same_message():
    connect()
    (first,) = take(handed())
    (again,) = take(handed(), now=later(minutes=15))
    assert (again.uid, again.repeated, first.repeated) == (first.uid, True, False)
    assert (again.state, again.recipients, again.connection) == (
        first.state,
        first.recipients,
        first.connection,
    )
    assert (Message.objects.count(), Delivery.objects.count(), Chunk.objects.count()) == (1, 1, 1)


def test_the_same_after_a_quarter_of_an_hour_is_another_message():
    connect()
    (first,) = take(handed())
    (second,) = take(handed(), now=later(minutes=15, seconds=1))
    (third,) = take(handed(), now=later(minutes=30))
    assert second.uid != first.uid
    assert (third.uid, third.repeated) == (second.uid, True)


def test_the_same_twice_in_one_group_is_one_message():
    connect()
    first, other, again = take(handed(), handed("another"), handed())
    assert (again.uid, again.repeated, first.repeated) == (first.uid, True, False)
    assert other.uid != first.uid
    assert Message.objects.count() == 2


def test_a_repetition_tells_the_state_of_now():
    connect()
    (first,) = take(handed())
    messages.cancel(str(first.uid), ACTOR, NOW)
    assert take(handed())[0].state == "cancelled"


def test_what_is_refused_is_not_known_afterwards():
    connect()
    assert isinstance(take(handed(stream="nowhere"))[0], Refusal)
    assert not Handover.objects.exists()
    assert not take(handed())[0].repeated


@pytest.mark.parametrize("ended", ["refused", "expired"])
def test_what_failed_for_every_recipient_is_another_message_when_it_comes_again(ended):
    connect()

    def to_both():
        digest = hashlib.sha256(b"to both").digest()
        return submission("a@example.net", "b@example.net", handover=digest)

    (first,) = take(to_both())
    found = Delivery.objects.filter(message__uid=first.uid).order_by("id")
    over = {"state": ended, "next_attempt_at": None, "settled_at": NOW}
    Delivery.objects.filter(pk=found[0].pk).update(**over)
    assert take(to_both())[0].uid == first.uid  # the other one is under way
    found.update(**over)
    (second,) = take(to_both())
    assert (second.uid != first.uid, second.repeated, second.state) == (True, False, "queued")
    (third,) = take(to_both(), now=later(minutes=14))
    assert (third.uid, third.repeated) == (second.uid, True)


def test_without_a_digest_the_same_twice_is_two_messages():
    connect()
    first, second = take(submission(), submission())
    assert first.uid != second.uid


@pytest.mark.django_db(transaction=True)
def test_the_same_from_many_at_once_is_one_message():
    connect()
    group = [handed(str(number)) for number in range(5)]
    answers = at_once([lambda n=n: take(*(group if n % 2 else reversed(group))) for n in range(12)])
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert Message.objects.count() == 5
    assert sum(not one.repeated for answer in answers for one in answer) == 5
    assert {one.uid for answer in answers for one in answer} == {
        *map(str, Message.objects.values_list("uid", flat=True))
    }


def test_sweeping_forgets_what_counts_no_more():
    connect()
    take(*(handed(str(number)) for number in range(3)))
    take(handed("later"), now=later(minutes=10))
    retention.sweep(later(minutes=15, seconds=1))
    assert Handover.objects.count() == 1
    assert take(handed("later"), now=later(minutes=20))[0].repeated


# parcels


def parcel(data, at=NOW):
    """A content whose chunks are here before its message, and what says so."""
    row = Parcel.objects.create(at=at)
    for position, start in enumerate(range(0, len(data), accept.CHUNK)):
        Chunk.objects.create(message_id=-row.pk, position=position, data=data[start : start + accept.CHUNK])
    return Arrived(row.pk, len(data), hashlib.sha256(data).hexdigest())


def test_a_content_that_is_here_already_is_the_messages_own():
    connect()
    whole = content(subject="large").raw + b"x" * 600_000
    arrived = parcel(whole)
    (before, answer, behind) = take(
        submission(), submission(content=content(subject="large"), parcel=arrived), submission()
    )
    message = stored(answer)
    assert (message.size, message.subject) == (arrived.size, "large")
    assert contents.content_of(message).raw == whole
    assert not Parcel.objects.exists()
    assert only(stored(before)).pk < only(message).pk < only(stored(behind)).pk


def test_a_parcel_that_was_swept_is_refused_alone():
    connect()
    arrived = parcel(content().raw)
    Parcel.objects.all().delete()
    answers = take(submission(content=content(), parcel=arrived), submission())
    assert fault_codes(answers[0]) == {("content", "content_gone")}
    assert Message.objects.count() == 1


def test_a_parcel_counts_with_all_its_bytes(settings):
    connect()
    limit = settings.ENVIRONMENT.max_message_bytes
    (answer,) = take(submission(parcel=Arrived(1, limit + 1, "")))
    assert fault_codes(answer) == {("content", "message_size")}


# several at once


@pytest.mark.django_db(transaction=True)
def test_groups_from_many_at_once_are_all_kept_once_and_in_their_order():
    connect()
    answers = at_once([lambda: [take(*numbered(8)) for _ in range(5)]] * 8)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    uids = [one.uid for of_thread in answers for group in of_thread for one in group]
    assert len(uids) == len(set(uids)) == Message.objects.count() == 320
    for of_thread in answers:
        numbers = [only(stored(one)).pk for group in of_thread for one in group]
        assert numbers == sorted(numbers)


@pytest.mark.django_db(transaction=True)
def test_numbers_go_on_behind_what_another_way_of_storing_took():
    connect()
    first = post()
    sql("DELETE FROM ledger_event")
    made = Message.objects.create(
        uid=messages.UUID(int=7),
        via="api",
        reverse_path="",
        message_id="",
        received_by="x",
        size=0,
        accepted_at=NOW,
    )
    (answer,) = take(submission())
    assert first.pk < made.pk < stored(answer).pk


def test_a_copy_of_a_submission_is_another_message():
    connect()
    given = submission()
    first, second = take(given, replace(given))
    assert first.uid != second.uid


# what was arranged before the transaction


def placed(drafts, ahead):
    with writing():
        return accept.place(drafts, ahead, NOW)


def test_handovers_arranged_before_the_transaction_are_stored_once():
    connect()
    take(handed("first"))
    drafts = [draft(handed(text), NOW) for text in ("first", "second", "second", "third")]
    routing._keep(routing._read(epoch()))
    ahead = accept.arrange(drafts, NOW)
    assert ahead is not None
    known, second, same, third = placed(drafts, ahead)
    assert (second, third) == (same, drafts[3].uid)
    assert known != drafts[0].uid
    assert Message.objects.count() == Delivery.objects.count() == 3


def test_what_was_arranged_under_an_earlier_epoch_is_routed_again():
    connect()
    routing._keep(routing._read(epoch()))
    drafts = [draft(handed(), NOW)]
    ahead = accept.arrange(drafts, NOW)
    assert ahead is not None
    connect("Other")
    assert ahead.epoch < epoch()
    placed(drafts, ahead)
    assert Delivery.objects.get().route_epoch == epoch()
