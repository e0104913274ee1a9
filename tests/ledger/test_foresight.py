"""What a change of the connections would do, told before it is made."""

from datetime import timedelta

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from ledger.kit import ACTOR, NOW, claimed, connect, fresh, in_doubt, later, on_postgresql, only, post
from vaguemestre.ledger import connections, departing, foresight, instance, rerouting, streams
from vaguemestre.ledger.departing import Reassign
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.policy.routing import Mode

pytestmark = pytest.mark.django_db


def preview(connection, now=NOW):
    return foresight.of_default(foresight.facts_of(connection), now)


def counts(found):
    return {one.key: (one.messages, one.from_changed, one.reply_to_changed) for one in found.streams}


def in_streams():
    """Marketing and support each leave from a connection of their own."""
    for key in ("marketing", "support"):
        streams.edit(key, {"connection": str(connect(key.title()).uid)}, ACTOR, NOW)


def test_messages_of_thirty_days_are_counted_for_each_stream():
    in_streams()
    office = connect("Office", reply_to="desk@example.org")
    for days, stream in ((1, "marketing"), (29, "marketing"), (2, "support"), (31, "support")):
        post(now=NOW - timedelta(days=days), stream=stream)
    post(connection="Office", from_="office@example.org", headers=["Reply-To: desk@example.org"])
    found = preview(office)
    # Office's own message would have left as it did.
    assert counts(found) == {"marketing": (2, 2, 2), "support": (1, 1, 1), None: (1, 0, 0)}
    assert (found.messages, found.changed, found.more) == (4, 3, False)
    assert (found.sender, found.reply_to, found.mode) == (
        "office@example.org",
        "desk@example.org",
        "override",
    )
    assert found.demoted is None


def test_who_is_demoted_is_named_and_what_waits_is_counted():
    first = connect("First", is_default=True)
    second = connect("Second")
    post()
    found = preview(second)
    assert (found.demoted, found.waiting.number) == (first, 1)
    assert preview(first).demoted is None


def test_another_meaning_of_the_default_is_foreseen_like_another_default():
    in_streams()
    assert foresight.of_mode(Mode.FALLBACK, NOW).sender == ""  # there is none
    office = connect("Office", is_default=True)
    post(stream="marketing"), post(stream="marketing"), post()
    found = foresight.of_mode(Mode.FALLBACK, NOW)
    # Marketing leaves from its own connection; what has no stream still as the office, now with a Reply-To.
    assert counts(found) == {"marketing": (2, 2, 2), None: (1, 0, 1)}
    assert (found.sender, found.mode, found.demoted) == ("office@example.org", "fallback", None)
    assert found.waiting.number == 3
    same = foresight.of_mode(Mode.OVERRIDE, NOW)
    assert same.changed == 0
    assert instance.settings()["default_mode"] == "override"
    assert office.is_default


def test_under_fallback_only_what_matches_nothing_else_would_have_changed():
    in_streams()
    office, other = connect("Office"), connect("Other", is_default=True)
    instance.change_settings({"default_mode": "fallback"}, ACTOR, NOW)
    post(stream="marketing")
    post(from_="nobody@example.net")
    assert counts(preview(office)) == {None: (1, 1, 0), "marketing": (1, 0, 0)}
    assert counts(preview(other)) == {None: (1, 0, 0), "marketing": (1, 0, 0)}


def test_what_was_held_has_not_left_and_would_not_have_changed():
    connect("Office"), connect("Other")
    post(from_="nobody@example.net")
    assert counts(preview(connect("Third"))) == {None: (1, 0, 0)}


def test_only_the_latest_messages_are_looked_at(monkeypatch):
    office = connect()
    for n in range(4):
        post(now=later(seconds=n))
    monkeypatch.setattr(foresight, "MOST", 3)
    found = preview(office, later(seconds=9))
    assert (found.messages, found.more) == (4, True)


def test_the_messages_are_found_by_the_index_of_their_times():
    office = connect()
    post()
    with CaptureQueriesContext(database) as asked:
        preview(office)
    (recent,) = [one["sql"] for one in asked if "AS recent" in one["sql"]]
    if not on_postgresql():
        with database.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + recent.replace("%", "%%"))
            plan = str(cursor.fetchall())
        assert "message_recent" in plan, plan
        assert "SCAN d" not in plan, plan
        assert "SCAN o" not in plan, plan


def test_what_waits_for_a_connection_is_told_where_it_goes():
    in_streams()
    marketing, support = connections.find("Marketing"), connections.find("Support")
    post(stream="marketing"), post(from_="marketing@example.org")
    found = foresight.of_departure(marketing, None, deleted=False)
    # By its stream one is held; by its From the other one has only Support left.
    assert {(fate.carrier, fate.reason.code.value): fate.messages for fate in found.fates} == {
        ("", "stream_inactive"): 1,
        ("Support", "only_active"): 1,
    }
    assert [(one.key, fate.carrier, fate.reason.code.value) for one, fate in found.referrers] == [
        ("marketing", "", "stream_inactive")
    ]
    connections.deactivate(str(marketing.uid), ACTOR, NOW)
    rerouting.reroute(NOW)
    assert foresight.of_departure(fresh(marketing), None, deleted=True).waiting == 1
    assert foresight.of_departure(support, None, deleted=False).fates[0].reason.code == "no_active_connection"


def test_where_the_default_goes_its_heir_takes_all():
    first, second = connect("First", is_default=True), connect("Second")
    post()
    (fate,) = foresight.of_departure(first, second, deleted=False).fates
    assert (fate.carrier, fate.reason.code, fate.messages) == ("Second", "default_override", 1)


def test_what_is_in_a_couriers_hands_or_in_doubt_is_counted_apart():
    office = connect()
    post()
    claimed(office)
    assert (found := foresight.of_departure(office, None, deleted=False)).in_hand == 1
    assert found.waiting == 0
    other = connect("Other")
    post(connection="Other")
    in_doubt(other)
    assert foresight.of_departure(other, None, deleted=False).in_doubt == 1


def test_a_connection_is_deleted_together_with_where_its_streams_go():
    in_streams()
    marketing, support = connections.find("Marketing"), connections.find("Support")
    message = post(stream="marketing")
    with pytest.raises(Conflict) as caught:
        departing.delete(str(marketing.uid), ACTOR, NOW)
    assert caught.value.code == "connection_in_use"
    departing.delete(str(marketing.uid), ACTOR, NOW, reassign=Reassign(str(support.uid)))
    rerouting.reroute(NOW)
    assert streams.find("marketing").connection == support
    assert only(message).connection == support


def test_streams_can_be_left_without_a_connection_of_their_own():
    in_streams()
    departing.delete(str(connections.find("Marketing").uid), ACTOR, NOW, reassign=Reassign(None))
    assert streams.find("marketing").connection is None


@pytest.mark.parametrize("heir", ["nobody", None])
def test_a_deletion_that_is_refused_leaves_the_streams_as_they_were(heir):
    in_streams()
    marketing = connections.make_default(str(connections.find("Marketing").uid), ACTOR, NOW).connection
    with pytest.raises((Conflict, Refusal)):
        departing.delete(str(marketing.uid), ACTOR, NOW, reassign=Reassign(heir))
    assert streams.find("marketing").connection == marketing
    with pytest.raises(Refusal) as caught:
        departing.delete(str(marketing.uid), ACTOR, NOW, reassign=Reassign(str(marketing.uid)))
    assert caught.value.errors[0].code == "reassign_itself"
