"""When a backup serves, and as whom a message then leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.state import Health
from vaguemestre.policy.backup import engaged, stand_in
from vaguemestre.policy.health import READY, HealthState, locked, paused, throttled
from vaguemestre.policy.routing import Configuration, ConnectionFacts, Mode, Request, Route, route

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)
INSTANT = timedelta(microseconds=1)


def named(address: str, name: str = "") -> NamedMailbox:
    return NamedMailbox(Mailbox.parse(address), name)


OFFICE = ConnectionFacts(1, "Office", Mailbox.parse("office@example.org"), "The Office", created=1)
SPARE = ConnectionFacts(2, "Spare", Mailbox.parse("spare@example.net"), "Spare sender", created=2)
ANN = named("ann@example.com", "Ann")


def routed(first: ConnectionFacts, request: Request, mode: Mode = Mode.OVERRIDE) -> Route:
    decision = route(request, Configuration(mode, (first,)))
    assert isinstance(decision, Route)
    return decision


def test_a_backup_serves_for_a_locked_connection_at_once():
    assert engaged(locked(READY, "sign_in_refused", now=NOW), NOW)


def test_a_backup_serves_for_a_throttled_connection_beyond_five_minutes():
    state = throttled(READY, NOW, 3600.0)
    assert not engaged(state, NOW + FIVE)
    assert engaged(state, NOW + FIVE + INSTANT)


def test_a_throttle_that_was_renewed_counts_from_its_first():
    state = READY
    for minutes in (0, 1, 3):
        state = throttled(state, NOW + timedelta(minutes=minutes))
    assert engaged(state, NOW + FIVE + INSTANT)


def test_a_backup_never_serves_for_a_ready_or_paused_connection():
    long_after = NOW + timedelta(days=9)
    assert not engaged(READY, long_after)
    assert not engaged(paused(throttled(READY, NOW), "ada", now=NOW), long_after)


def test_a_throttle_of_unknown_age_waits():
    assert not engaged(HealthState(Health.THROTTLED, until=NOW), NOW)


def test_the_backups_own_sender_leaves_where_it_may_not_use_the_first_ones():
    instead = stand_in(routed(OFFICE, Request(ANN)), SPARE, ANN)
    assert instead.connection_id == SPARE.id
    assert instead.sender == named("spare@example.net", "Spare sender")
    assert instead.reverse_path == SPARE.sender


@pytest.mark.parametrize("allowed", ["office@example.org", "*@example.org"])
def test_the_first_ones_sender_leaves_where_the_backup_may_use_it(allowed):
    spare = replace(SPARE, allowed_senders=(allowed,))
    instead = stand_in(routed(OFFICE, Request(ANN)), spare, ANN)
    assert instead.sender == named("office@example.org", "The Office")
    assert instead.reverse_path == spare.sender  # the carrying connection's, always


def test_under_a_default_answers_go_where_the_default_says_or_nowhere_else():
    default = replace(OFFICE, is_default=True)
    asks = Request(ANN, reply_to="list@example.com")
    assert stand_in(routed(default, asks), SPARE, ANN).reply_to is None
    with_own = replace(default, reply_to="desk@example.org")
    spare = replace(SPARE, reply_to="spare-answers@example.net")
    assert stand_in(routed(with_own, asks), spare, ANN).reply_to == "desk@example.org"


def test_a_from_that_changes_only_for_the_backup_still_gets_its_answers():
    first = replace(OFFICE, allowed_senders=("ann@example.com",))
    before = routed(first, Request(ANN))
    assert (before.sender, before.reply_to) == (None, None)
    instead = stand_in(before, SPARE, ANN)
    assert (instead.sender, instead.reply_to) == (
        named("spare@example.net", "Spare sender"),
        "Ann <ann@example.com>",
    )
    asked = stand_in(routed(first, Request(ANN, reply_to="list@example.com")), SPARE, ANN)
    assert asked.reply_to == "list@example.com"


def test_an_original_from_leaves_as_it_is_where_the_backup_may_use_it():
    first = replace(OFFICE, allowed_senders=("ann@example.com",))
    spare = replace(SPARE, allowed_senders=("*@example.com",))
    instead = stand_in(routed(first, Request(ANN)), spare, ANN)
    assert (instead.sender, instead.reply_to) == (None, None)


def test_a_null_reverse_path_stays_null():
    bounce = routed(OFFICE, Request(ANN, null_reverse_path=True))
    assert stand_in(bounce, SPARE, ANN).reverse_path is None


def test_the_reason_stays_and_says_who_stands_in_for_whom():
    before = routed(OFFICE, Request(ANN))
    reason = stand_in(before, SPARE, ANN).reason
    assert reason.code is before.reason.code
    assert dict(reason.facts) == {**before.reason.facts, "backup": "2", "backup_name": "Spare"}
    assert reason.facts["connection_name"] == "Office"


@given(
    from_=st.sampled_from([None, ANN, named("office@example.org"), named("spare@example.net")]),
    reply_to=st.sampled_from([None, "", "list@example.com"]),
    null=st.booleans(),
    default=st.booleans(),
    mode=st.sampled_from(list(Mode)),
    of_first=st.sets(st.sampled_from(["ann@example.com", "*@example.com"])),
    of_spare=st.sets(st.sampled_from(["ann@example.com", "*@example.org", "spare@example.net"])),
)
def test_whatever_is_asked_the_backup_leaves_with_a_sender_that_it_may_use(
    *, from_, reply_to, null, default, mode, of_first, of_spare
):
    first = replace(OFFICE, is_default=default, allowed_senders=tuple(of_first))
    spare = replace(SPARE, allowed_senders=tuple(of_spare))
    before = routed(first, Request(from_, reply_to=reply_to, null_reverse_path=null), mode)
    instead = stand_in(before, spare, from_)
    leaves = instead.sender or from_
    assert leaves is not None
    assert spare.permits(leaves.mailbox)
    assert instead.reverse_path == (None if null else spare.sender)
    assert before.reply_to is None or instead.reply_to == before.reply_to
