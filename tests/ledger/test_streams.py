"""Streams: the six from the start, one's own, and what they may not be."""

import pytest

from ledger.kit import ACTOR, NOW, connect, fault_codes, fresh, only, post
from vaguemestre.ledger import connections, resources, streams
from vaguemestre.ledger.models import Stream, Version
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal

pytestmark = pytest.mark.django_db

SIX = ["notifications", "form-replies", "invoices", "reports", "marketing", "support"]


def test_six_streams_are_there_from_the_start_and_invoices_are_held_in_doubt():
    assert [stream.key for stream in streams.all_streams()] == SIX
    assert {stream.key for stream in streams.all_streams() if stream.on_doubt == "hold"} == {"invoices"}
    assert all(stream.built_in for stream in streams.all_streams())


def test_a_stream_of_ones_own_is_made_edited_and_deleted():
    office = connect()
    made = streams.create(
        {"key": "alerts", "connection": "Office", "reply_to": "r@B\u00fccher.example"}, ACTOR, NOW
    )
    assert resources.stream_resource(made) == {
        "key": "alerts", "name": "alerts", "connection": str(office.uid), "reply_to": "r@b\u00fccher.example",
        "on_doubt": "retry", "retry_hours": 120, "priority": "normal", "auto_submitted": "no",
        "unsubscribe": False, "retention_days": 30, "redact": False, "built_in": False,
    }  # fmt: skip
    streams.edit(
        "alerts", {"name": "Alerts", "connection": None, "retention_days": 7, "redact": True}, ACTOR, NOW
    )
    edited = streams.find("alerts")
    assert (edited.name, edited.connection, edited.retention_days, edited.redact) == ("Alerts", None, 7, True)
    assert streams.all_streams()[-1] == edited
    streams.delete("alerts", ACTOR, NOW)
    with pytest.raises(Missing):
        streams.find("alerts")
    actions = list(Version.objects.filter(kind="stream").order_by("number").values_list("action", flat=True))
    assert actions == ["created", "changed", "deleted"]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, ("key", "stream_key")),
        ({"key": "Reports"}, ("key", "stream_key")),
        ({"key": "-x"}, ("key", "stream_key")),
        ({"key": "x" * 51}, ("key", "stream_key")),
        ({"key": "x\n"}, ("key", "stream_key")),
        ({"key": 5}, ("key", "stream_key")),
        ({"key": "reports"}, ("key", "stream_taken")),
        ({"key": "x", "name": ""}, ("name", "name_empty")),
        ({"key": "x", "name": "a\nb"}, ("name", "name_empty")),
        ({"key": "x", "connection": "nobody"}, ("connection", "connection_unknown")),
        ({"key": "x", "connection": "\0"}, ("connection", "connection_unknown")),
        ({"key": "x", "reply_to": "nobody"}, ("reply_to", "address_syntax")),
        ({"key": "x", "reply_to": []}, ("reply_to", "not_text")),
        ({"key": "x", "on_doubt": "perhaps"}, ("on_doubt", "on_doubt_unknown")),
        ({"key": "x", "on_doubt": ["retry"]}, ("on_doubt", "on_doubt_unknown")),
        ({"key": "x", "on_doubt": {}}, ("on_doubt", "on_doubt_unknown")),
        ({"key": "x", "retention_days": 0}, ("retention_days", "days_range")),
        ({"key": "x", "retention_days": True}, ("retention_days", "days_range")),
        ({"key": "x", "retention_days": "7"}, ("retention_days", "days_range")),
        ({"key": "x", "redact": 1}, ("redact", "not_boolean")),
        ({"key": "x", "unsubscribe": "yes"}, ("unsubscribe", "not_boolean")),
        ({"key": "x", "priority": "high"}, ("priority", "priority_unknown")),
        ({"key": "x", "priority": []}, ("priority", "priority_unknown")),
        ({"key": "x", "auto_submitted": "yes"}, ("auto_submitted", "auto_submitted_unknown")),
        ({"key": "x", "auto_submitted": {}}, ("auto_submitted", "auto_submitted_unknown")),
        ({"key": "x", "retry_hours": 0}, ("retry_hours", "hours_range")),
        ({"key": "x", "retry_hours": 721}, ("retry_hours", "hours_range")),
        ({"key": "x", "retry_hours": True}, ("retry_hours", "hours_range")),
        ({"key": "x", "colour": "red"}, ("colour", "unknown_field")),
    ],
)
def test_a_stream_that_makes_no_sense_is_refused_at_its_field(values, fault):
    with pytest.raises(Refusal) as caught:
        streams.create(values, ACTOR, NOW)
    assert fault in fault_codes(caught.value)
    assert Stream.objects.count() == 6


def test_all_faults_of_a_stream_are_told_at_once():
    with pytest.raises(Refusal) as caught:
        streams.create({"key": "X", "name": "", "on_doubt": 1, "redact": 1}, ACTOR, NOW)
    assert {field for field, _ in fault_codes(caught.value)} == {"key", "name", "on_doubt", "redact"}


def test_a_streams_key_stays():
    streams.edit("reports", {"key": "reports", "name": "R"}, ACTOR, NOW)
    with pytest.raises(Refusal) as caught:
        streams.edit("reports", {"key": "figures"}, ACTOR, NOW)
    assert fault_codes(caught.value) == {("key", "unknown_field")}


def test_a_built_in_stream_stays():
    with pytest.raises(Conflict) as caught:
        streams.delete("reports", ACTOR, NOW)
    assert caught.value.code == "stream_built_in"


def test_a_stream_that_messages_refer_to_stays():
    connect()
    streams.create({"key": "alerts"}, ACTOR, NOW)
    post(stream="alerts")
    with pytest.raises(Conflict) as caught:
        streams.delete("alerts", ACTOR, NOW)
    assert caught.value.code == "stream_in_use"


@pytest.mark.parametrize("key", ["nowhere", "", "\0", "\ud800", "x" * 1000])
def test_a_stream_that_is_not_there_is_said(key):
    for act in (
        streams.find,
        lambda key: streams.edit(key, {}, ACTOR, NOW),
        lambda key: streams.delete(key, ACTOR, NOW),
    ):
        with pytest.raises(Missing):
            act(key)


def test_a_streams_reply_to_is_that_of_its_messages():
    connect()
    streams.edit("reports", {"reply_to": "reports@example.org"}, ACTOR, NOW)
    assert only(post(stream="reports")).route["reply_to"] == "reports@example.org"
    assert (
        only(post(stream="reports", headers=["Reply-To: own@example.net"])).route["reply_to"]
        == "own@example.net"
    )


def test_a_stream_whose_connection_was_taken_over_by_none_lets_it_be_deleted():
    office = connect()
    streams.edit("reports", {"connection": str(office.uid)}, ACTOR, NOW)
    with pytest.raises(Conflict):
        connections.delete(str(office.uid), ACTOR, NOW)
    streams.edit("reports", {"connection": ""}, ACTOR, NOW)
    connections.delete(str(office.uid), ACTOR, NOW)
    assert fresh(office).deleted_at == NOW
