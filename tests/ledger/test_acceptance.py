"""L2, L4 and L5 through the one way in: what is stored of the answer, what is refused, and when it is durable."""

import os
from datetime import timedelta

import pytest
from django.db import transaction

from ledger import kit
from ledger.kit import (
    ACTOR,
    NOW,
    claimed,
    codes,
    connect,
    content,
    deliveries,
    elsewhere,
    epoch,
    events,
    fault_codes,
    in_doubt,
    later,
    lease_of,
    only,
    post,
    report,
    settle,
    sql,
    stage,
    submission,
)  # fmt: skip
from vaguemestre.ledger import (
    accept,
    connections,
    contents,
    database,
    instance,
    keys,
    messages,
    queue,
    rerouting,
    streams,
)  # fmt: skip
from vaguemestre.ledger.claims import Stale
from vaguemestre.ledger.models import Chunk, Delivery, Event, Message
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.routing import RuleCode

pytestmark = pytest.mark.django_db


def key_for(**limits):
    return keys.create("Shop", ["send"], ACTOR, NOW, **limits)[0]


# L2 and L4: what is stored


def test_the_default_overrides_what_the_message_and_its_stream_asked():
    other = connect("Other")
    streams.edit("reports", {"connection": str(other.uid), "reply_to": "reports@example.org"}, ACTOR, NOW)
    default = connect("Main", is_default=True, sender_name="The office", reply_to="desk@example.org")
    message = post(
        from_="Boss <boss@example.net>",
        headers=["Reply-To: boss@example.net"],
        stream="reports",
        connection="Other",
    )
    delivery = only(message)
    assert delivery.connection == default
    assert delivery.route == {
        "sender": {"email": "main@example.org", "name": "The office"},
        "reply_to": "desk@example.org",
        "reverse_path": "main@example.org",
    }
    assert delivery.reason["code"] == "default_override"
    assert [rule["code"] for rule in delivery.rules] == [code.value for code in RuleCode]
    assert (message.header_from, message.header_reply_to) == (
        {"email": "boss@example.net", "name": "Boss"},
        "boss@example.net",
    )


def test_under_the_default_a_reply_to_disappears_where_it_has_none():
    connect("Main", is_default=True)
    assert only(post(headers=["Reply-To: boss@example.net"])).route["reply_to"] is None


def test_under_fallback_the_default_serves_only_what_nothing_else_matches():
    connect("Main", is_default=True)
    connect("Other")
    instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW)
    matched, rest = only(post(from_="other@example.org")), only(post(from_="stranger@example.net"))
    assert (matched.connection.name, matched.reason["code"]) == ("Other", "sender")
    assert (rest.connection.name, rest.reason["code"]) == ("Main", "default_fallback")


@pytest.mark.parametrize(
    ("from_", "values", "name", "reason", "sender"),
    [
        ("stranger@example.net", {"connection": "Two"}, "Two", "explicit", "two@example.org"),
        ("stranger@example.net", {"stream": "reports"}, "Three", "stream", "three@example.org"),
        ("One@Example.org", {}, "One", "sender", None),
        ("exact@allowed.example", {}, "Two", "allowed_sender", None),
        ("any@allowed.example", {}, "One", "allowed_domain", None),
    ],
)
def test_without_override_the_rules_of_l4_are_asked_in_order(from_, values, name, reason, sender):
    connect("One", allowed_senders=["*@allowed.example"])
    connect("Two", allowed_senders=["exact@allowed.example", "*@allowed.example"])
    three = connect("Three")
    streams.edit("reports", {"connection": str(three.uid)}, ACTOR, NOW)
    delivery = only(post(from_=from_, **values))
    assert (delivery.connection.name, delivery.reason["code"]) == (name, reason)
    kept = delivery.route["sender"]
    assert (None if kept is None else kept["email"]) == sender
    assert delivery.route["reverse_path"] == f"{name.lower()}@example.org"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "ambiguous"),
        ({"connection": "Off"}, "explicit_inactive"),
        ({"stream": "reports"}, "stream_inactive"),
    ],
)
def test_without_a_route_a_message_is_held_with_its_reason_and_not_sent_by_another(values, reason):
    connect("One")
    connect("Two")
    off = connect("Off", active=False)
    streams.edit("reports", {"connection": str(off.uid)}, ACTOR, NOW)
    delivery = only(post(**values))
    assert (delivery.state, delivery.connection, delivery.route) == ("held", None, None)
    assert delivery.reason["code"] == reason
    (event,) = events(delivery)
    assert (event.state, event.detail["code"], event.detail["reason"]["code"]) == (
        "held",
        "accepted_here",
        reason,
    )


def test_a_null_reverse_path_stays_null_and_any_other_becomes_the_senders():
    connect("Main", is_default=True)
    assert only(post(reverse_path=None)).route["reverse_path"] is None
    assert only(post(reverse_path="elsewhere@example.net")).route["reverse_path"] == "main@example.org"


def test_a_connections_name_reaches_no_recipient():
    connect("Interner Name", sender_email="a@example.org", is_default=True)
    message = post()
    rendered = kit.rendered(message, only(message).route)
    assert b"Interner" not in rendered


def test_each_recipient_has_a_delivery_in_order_and_each_an_event():
    connect()
    message = post("c@example.com", "a@example.com", "b@example.com")
    assert [delivery.recipient[0] for delivery in deliveries(message)] == ["c", "a", "b"]
    assert [codes(delivery) for delivery in deliveries(message)] == [["accepted_here"]] * 3


def test_a_thousand_recipients_are_one_message():
    connect()
    recipients = [f"to{number}@example.com" for number in range(1000)]
    message = post(*recipients)
    assert [delivery.recipient for delivery in deliveries(message)] == recipients
    assert Event.objects.count() == 1000


def test_explain_answers_what_accepting_would():
    connect("Main", is_default=True)
    told, stored = accept.explain("reports", "x@example.net", None), only(post(stream="reports"))
    assert told.reason.as_json() == stored.reason
    assert accept.decision_columns(told)["connection_id"] == stored.connection_id


# refusals


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"stream": "nowhere"}, ("stream", "stream_unknown")),
        ({"stream": "null\0"}, ("stream", "stream_unknown")),
        ({"connection": "nobody"}, ("connection", "connection_unknown")),
        ({"connection": "\udc80"}, ("connection", "connection_unknown")),
        ({"on_doubt": "perhaps"}, ("on_doubt", "on_doubt_unknown")),
        ({"tags": ("x" * 101,)}, ("tags", "tags")),
        ({"tags": ("",)}, ("tags", "tags")),
        ({"tags": ("nul\0",)}, ("tags", "tags")),
        ({"tags": tuple(str(number) for number in range(21))}, ("tags", "tags")),
        ({"metadata": {"nul": "\0"}}, ("metadata", "metadata")),
        ({"metadata": {"half": "\ud800"}}, ("metadata", "metadata")),
        ({"metadata": {"long": "x" * 10_001}}, ("metadata", "metadata")),
        ({"send_at": later(days=367)}, ("send_at", "too_far")),
        ({"expires_at": NOW}, ("expires_at", "too_early")),
        ({"expires_at": later(hours=1), "send_at": later(hours=2)}, ("expires_at", "too_early")),
        ({"from_": "no address"}, ("from", "address_syntax")),
        ({"from_": "undisclosed:;"}, ("from", "address_group")),
        ({"from_": "Shop: a@example.org;"}, ("from", "address_group")),
        ({"from_": "a@example.org, boss@example.org"}, ("from", "address_single")),
        ({"headers": ["From: twice@example.org"]}, ("from", "header_twice")),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_stored(values, fault):
    connect()
    with pytest.raises(Refusal) as caught:
        post(**values)
    assert fault_codes(caught.value) == {fault}
    assert not Message.objects.exists()
    assert not Chunk.objects.exists()


def test_all_faults_are_told_at_once():
    with pytest.raises(Refusal) as caught:
        post(on_doubt="perhaps", tags=("",), metadata={"x": "\0"}, send_at=later(days=400))
    assert {field for field, _ in fault_codes(caught.value)} == {"on_doubt", "tags", "metadata", "send_at"}


def test_a_message_beyond_the_limit_is_refused_with_both_sizes(settings):
    limit = settings.ENVIRONMENT.max_message_bytes
    with pytest.raises(Refusal) as caught:
        post(content=Content(b"A: b\r\n\r\n" + b"x" * limit))
    (fault,) = caught.value.errors
    assert (fault.code, fault.facts) == ("message_size", {"size": limit + 8, "limit": limit})


@pytest.mark.parametrize("from_", ["ceo@example.org", "shop@example.org.evil.example"])
def test_a_key_sends_only_as_its_senders(from_):
    connect()
    with pytest.raises(Refusal) as caught:
        post(from_=from_, submitter=key_for(senders=["shop@example.org", "*@shop.example"]))
    assert fault_codes(caught.value) == {("from", "sender_not_allowed")}


def test_i06_a_second_address_in_from_does_not_pass_a_keys_limit():
    connect(allowed_senders=["*@example.org"])
    with pytest.raises(Refusal):
        post(from_="shop@example.org, ceo@example.org", submitter=key_for(senders=["shop@example.org"]))


@pytest.mark.parametrize(
    "from_",
    [
        "<ceo@example.org>:shop@example.org",
        "ceo@example.org:shop@example.org;",
        "ceo@example.org\r\n :shop@example.org",
        "ceo@example.org <shop@example.org>",
    ],
)
def test_i06_no_other_address_before_the_one_of_from_passes_a_keys_limit(from_):
    connect(allowed_senders=["shop@example.org"])
    with pytest.raises(Refusal):
        post(from_=from_, submitter=key_for(senders=["shop@example.org"]))
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["Sender: ceo@example.org"], "sender_not_allowed"),
        (["Sender: x: shop@example.org;"], "address_group"),
        (["Sender: ceo@example.org <shop@example.org>"], "address_syntax"),
        (["Sender: shop@example.org", "Sender: ceo@example.org"], "header_twice"),
        (["Resent-From: ceo@example.org"], "sender_not_allowed"),
        (["Resent-From: shop@example.org, Boss <ceo@example.org>"], "sender_not_allowed"),
        (["Resent-Sender: shop@example.org", "Resent-Sender: ceo@example.org"], "sender_not_allowed"),
        (["Resent-From: shop@example.org", "Resent-From: nobody"], "address_syntax"),
    ],
)
def test_i06_a_key_is_held_to_its_senders_in_every_header_that_names_who_sends(fields, code):
    connect(allowed_senders=["*@example.org"])
    with pytest.raises(Refusal) as caught:
        post(from_="shop@example.org", headers=fields, submitter=key_for(senders=["shop@example.org"]))
    assert fault_codes(caught.value) == {(fields[0].partition(":")[0].lower(), code)}


def test_a_sender_header_is_taken_where_the_key_may_send_as_it_or_is_not_limited():
    connect(allowed_senders=["*@example.org"])
    limited = key_for(senders=["shop@example.org", "till@example.org"])
    assert post(from_="shop@example.org", headers=["Sender: Till <till@example.org>"], submitter=limited)
    resent = ["Resent-From: till@example.org", "Resent-Sender: shop@example.org"]
    assert post(from_="shop@example.org", headers=resent, submitter=limited)
    others = ["Sender: ceo@example.org", "Resent-From: ceo@example.org"]
    assert post(from_="shop@example.org", headers=others, submitter=key_for())


@pytest.mark.parametrize("named", ["Boss", "boss by id"])
def test_a_key_names_no_connection_as_whose_sender_it_may_not_send(named):
    connect("Shop", sender_email="shop@example.org")
    boss = connect("Boss", sender_email="ceo@example.org")
    limited = key_for(senders=["shop@example.org"])
    asked = boss.name if named == "Boss" else str(boss.uid)
    with pytest.raises(Refusal) as caught:
        post(from_="shop@example.org", connection=asked, submitter=limited)
    assert fault_codes(caught.value) == {("connection", "sender_not_allowed")}
    assert not Message.objects.exists()
    assert post(from_="shop@example.org", connection="Shop", submitter=limited)
    assert post(from_="shop@example.org", connection="Boss", submitter=key_for())


def test_a_key_names_a_connection_where_its_from_stays():
    connect("Boss", sender_email="ceo@example.org", allowed_senders=["shop@example.org"])
    assert post(from_="shop@example.org", connection="Boss", submitter=key_for(senders=["shop@example.org"]))


def test_a_key_that_is_not_limited_to_streams_uses_each_as_the_operator_set_it():
    connect("Shop", sender_email="shop@example.org")
    boss = connect("Boss", sender_email="ceo@example.org")
    streams.edit("invoices", {"connection": str(boss.uid)}, ACTOR, NOW)
    message = post(
        from_="shop@example.org", stream="invoices", submitter=key_for(senders=["shop@example.org"])
    )
    assert only(message).connection == boss


def test_a_key_with_senders_does_not_send_without_a_from():
    connect()
    with pytest.raises(Refusal) as caught:
        post(from_=None, submitter=key_for(senders=["shop@example.org"]))
    assert fault_codes(caught.value) == {("from", "sender_not_named")}


@pytest.mark.parametrize("from_", ["SHOP@example.org", "any@shop.example"])
def test_a_keys_senders_match_without_case_and_by_domain(from_):
    connect()
    assert post(from_=from_, submitter=key_for(senders=["shop@example.org", "*@shop.example"]))


@pytest.mark.parametrize("stream", [None, "invoices"])
def test_a_key_uses_only_its_streams(stream):
    connect()
    with pytest.raises(Refusal) as caught:
        post(stream=stream, submitter=key_for(streams=["reports"]))
    assert fault_codes(caught.value) == {("stream", "stream_not_allowed")}


def test_a_deleted_connection_is_an_unknown_one():
    office = connect()
    connections.delete(str(office.uid), ACTOR, NOW)
    with pytest.raises(Refusal) as caught:
        post(connection=str(office.uid))
    assert fault_codes(caught.value) == {("connection", "connection_unknown")}


# foreign headers


def test_i08_headers_that_decode_to_nothing_storable_are_made_safe():
    connect()
    message = post(
        subject="=?utf-8?b?AABh?=",
        headers=["Message-ID: =?utf-8?b?AA==?=", "Reply-To: =?utf-8?b?AA==?= <a@b.example>"],
    )
    stored = Message.objects.get(pk=message.pk)
    assert stored.subject == r"\x00\x00a"
    assert stored.message_id == "=?utf-8?b?AA==?="
    assert "\0" not in stored.header_reply_to


def test_a_message_id_of_bytes_beyond_ascii_is_stored():
    connect()
    raw = b"From: a@example.org\r\nMessage-ID: <\xff\x01@x>\r\n\r\nhello\r\n"
    assert post(content=Content(raw)).message_id == r"<ÿ\x01@x>"


def test_a_message_without_an_id_gets_one_that_is_the_same_at_every_rendering():
    connect()
    message = post()
    assert message.message_id == ""
    route = only(message).route
    # In the domain of the sender that leaves: the one that was asked for stays inside.
    made = f"Message-ID: <{message.uid.hex}@example.org>\r\n".encode()
    assert kit.rendered(message, route).count(made) == 1
    assert kit.rendered(message, route) == kit.rendered(message, route)
    assert messages.listing(messages.Filter(search=f"<{message.uid.hex}@example.org>"), None, 9).items == [
        message
    ]


def test_an_address_beyond_ascii_is_stored_in_its_wire_form():
    connect()
    message = post("jos\u00e9@caf\u00e9.example", from_="chef@caf\u00e9.example")
    assert only(message).recipient == "jos\u00e9@xn--caf-dma.example"
    assert message.header_from["email"] == "chef@xn--caf-dma.example"


# content


@pytest.mark.parametrize("size", [0, 1, accept.CHUNK - 1, accept.CHUNK, accept.CHUNK + 1, 1_048_576])
def test_content_of_any_size_comes_back_byte_for_byte(size):
    connect()
    body = os.urandom(size).replace(b"\r", b"-").replace(b"\n", b"+")
    given = Content(b"From: a@example.org\r\n\r\n" + body)
    message = post(content=given)
    assert contents.content_of(message).raw == given.raw
    chunks = Chunk.objects.filter(message=message).count()
    assert chunks == -(-len(given.raw) // accept.CHUNK)


def test_content_whose_chunks_are_not_all_there_counts_as_gone():
    connect()
    message = post(content=Content(b"From: a@example.org\r\n\r\n" + b"x" * (accept.CHUNK * 2)))
    Chunk.objects.filter(message=message, position=1).delete()
    with pytest.raises(contents.ContentGone):
        contents.content_of(message)


# L5


@pytest.mark.django_db(transaction=True)
def test_l5_what_was_accepted_is_seen_by_another_connection_at_once():
    connect()
    for _ in range(20):
        message = post()
        assert elsewhere(lambda uid=message.uid: Message.objects.filter(uid=uid).count()) == 1


@pytest.mark.django_db(transaction=True)
def test_several_messages_in_one_transaction_are_all_there_or_none():
    connect()
    with pytest.raises(Refusal):
        _all_or_none()
    assert Message.objects.count() == 0
    with database.writing():
        post()
        with pytest.raises(Refusal):
            post(stream="nowhere")
        post()
    assert Message.objects.count() == 2


def _all_or_none():
    with database.writing():
        post()
        post(stream="nowhere")


def test_l5_a_database_that_commits_durably_has_no_problem():
    assert database.durability_problems() == []


@pytest.mark.django_db(transaction=True)
def test_l5_a_database_that_does_not_is_told():
    problems = elsewhere(lambda: (_weaken(), database.durability_problems())[1])
    assert len(problems) == 1
    assert "synchronous" in problems[0]


def _weaken():
    sql("SET synchronous_commit = off" if database.on_postgresql() else "PRAGMA synchronous = NORMAL")


def test_a_message_is_marked_with_the_epoch_it_was_routed_at():
    connect()
    assert only(post()).route_epoch == epoch()


# time


def test_a_message_waits_for_its_send_at():
    office = connect()
    post(send_at=later(hours=1))
    lease = lease_of(office)
    assert queue.claim(lease, 10, later(minutes=59)) == []
    assert len(queue.claim(lease, 10, later(hours=1))) == 1


def test_the_times_of_claims_compare_to_the_microsecond():
    office = connect()
    post(send_at=NOW + timedelta(microseconds=1))
    lease = lease_of(office)
    assert queue.claim(lease, 10, NOW) == []
    assert len(queue.claim(lease, 10, NOW + timedelta(microseconds=1))) == 1


def test_what_has_expired_is_not_claimed_and_ends():
    office = connect()
    message = post(expires_at=later(hours=1))
    assert queue.claim(lease_of(office), 10, later(hours=1)) == []
    assert rerouting.expire(later(minutes=59)) == 0
    assert rerouting.expire(later(hours=1)) == 1
    assert only(message).state == "expired"
    assert codes(only(message)) == ["accepted_here", "expired"]


def test_what_expires_in_a_couriers_hands_is_not_marked_any_more_unless_it_may_have_arrived():
    office = connect()
    post(expires_at=later(hours=1))
    lease, claim = claimed(office)
    with pytest.raises(Stale):
        stage(lease, claim, later(hours=1))
    stage(lease, claim, later(minutes=59))
    settle(lease, report(claim, DeliveryState.IN_DOUBT, later(minutes=59), doubt="timeout"), NOW)
    (again,) = queue.claim(lease, 10, later(hours=2))
    stage(lease, again, later(hours=2))


def test_what_is_held_expires_and_what_is_in_doubt_does_not():
    office = connect()
    doubtful = post(expires_at=later(hours=1))
    in_doubt(office)
    connections.deactivate(str(office.uid), ACTOR, NOW)
    held = post(expires_at=later(hours=1))
    assert rerouting.expire(later(hours=2)) == 1
    assert (only(held).state, only(doubtful).state) == ("expired", "in_doubt")


def test_what_a_courier_holds_does_not_expire():
    office = connect()
    message = post(expires_at=later(hours=1))
    claimed(office)
    assert rerouting.expire(later(hours=2)) == 0
    assert only(message).state == "claimed"


def test_a_recipient_twice_is_refused_by_the_database_too():
    connect()
    message = post()
    with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
        Delivery.objects.create(
            message=message,
            recipient="to@example.com",
            state="held",
            route_epoch=1,
            retry_age=1.0,
            explanation=only(message).explanation,
        )


def test_an_envelope_is_no_place_for_nobody():
    with pytest.raises(ValueError, match="recipient"):
        accept.accept(
            accept.Submission(Envelope(Mailbox.parse("a@b.example"), ()), content(), accept.Via.API), NOW
        )


def test_accepting_is_given_its_time():
    connect()
    assert post(now=later(days=3)).accepted_at == later(days=3)
    assert accept.accept(submission(), later(days=4)).accepted_at == later(days=4)
