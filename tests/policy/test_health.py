"""Transitions of a connection's health."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import (
    READY,
    Backoff,
    HealthState,
    learned,
    locked,
    noted,
    paused,
    probing,
    recovered,
    resumed,
    serves,
    throttled,
    unlocked,
)
from vaguemestre.policy.verdict import Case, HealthChange, Judgement, judge

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
THROTTLED = throttled(READY, NOW, why="service_closing", text="4.3.2 closing")
LOCKED = locked(READY, "auth_refused", "5.7.8 no", now=NOW)
PAUSED = paused(READY, "ada@example.org", now=NOW)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_connection_that_fails_at_every_probe_waits_1_2_4_to_60_minutes():
    state, now, waits = READY, NOW, []
    for _ in range(9):
        state = throttled(state, now)
        assert state.until is not None
        waits.append((state.until - now).total_seconds() / 60)
        now = state.until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_throttle_lasts_what_the_reply_names_and_leaves_the_steps():
    state = throttled(READY, NOW, 900.0)
    assert (state.until, state.step) == (later(900), 0)
    assert throttled(state, later(900)).until == later(960)


def test_an_implied_time_is_the_least_of_a_throttle_whose_steps_go_on():
    state, now, waits = READY, NOW, []
    for _ in range(7):
        state = throttled(state, now, least=900.0)
        assert state.until is not None
        waits.append((state.until - now).total_seconds() / 60)
        now = state.until
    assert waits == [15, 15, 15, 15, 16, 32, 60]


def test_an_implied_time_lengthens_a_running_throttle_without_a_step():
    state = throttled(READY, NOW, why="service_closing")
    longer = throttled(state, later(30), least=3600.0, why="limit_reached")
    assert (longer.until, longer.step, longer.why) == (later(3630), 1, "limit_reached")
    assert throttled(longer, later(40), 60.0, why="service_closing") == longer
    assert throttled(longer, later(40), least=60.0) == longer


def test_a_daily_limit_is_asked_again_every_hour():
    case = Case(Trouble(Phase.MAIL, Cause.REPLY, Reply(550, "5.4.5 Daily user sending limit exceeded")))
    state = learned(READY, judge(case), NOW)
    assert (state.until, state.why) == (later(3600), "limit_reached")
    assert learned(state, judge(case), later(3600)).until == later(7200)


def test_the_steps_of_a_test_may_be_short():
    backoff = Backoff(first=0.1, longest=0.3)
    state = throttled(READY, NOW, backoff=backoff)
    assert state.until == later(0.1)
    assert [backoff.step(number) for number in (0, 1, 2, 1000)] == [0.1, 0.2, 0.3, 0.3]


def test_other_sessions_of_the_same_outage_do_not_lengthen_a_throttle():
    assert throttled(THROTTLED, later(1)) == THROTTLED


def test_a_named_time_lengthens_a_running_throttle_and_never_shortens_it():
    assert throttled(THROTTLED, NOW, 600.0).until == later(600)
    assert throttled(THROTTLED, NOW, 5.0).until == later(60)


def test_a_throttle_remembers_why_in_the_servers_words():
    assert (THROTTLED.state, THROTTLED.why, THROTTLED.text) == (
        Health.THROTTLED,
        "service_closing",
        "4.3.2 closing",
    )


@pytest.mark.parametrize(
    ("state", "now", "serving", "half_open"),
    [
        (READY, NOW, True, False),
        (THROTTLED, later(59), False, False),
        (THROTTLED, later(60), True, True),
        (LOCKED, later(1e6), False, False),
        (PAUSED, later(1e6), False, False),
    ],
)
def test_only_ready_and_half_open_serve(state, now, serving, half_open):
    assert (serves(state, now), probing(state, now)) == (serving, half_open)


def test_the_third_broken_dialogue_running_throttles():
    once = noted(READY, NOW)
    twice = noted(once, NOW)
    thrice = noted(twice, NOW)
    assert [state.state for state in (once, twice, thrice)] == [Health.READY, Health.READY, Health.THROTTLED]
    assert (thrice.why, thrice.until) == ("dialogue_broken", later(60))


def test_a_probe_that_breaks_throttles_again_at_once():
    state = noted(noted(noted(READY, NOW), NOW), NOW)
    assert noted(state, later(60)).until == later(60 + 120)


def test_an_acceptance_between_starts_the_count_of_broken_dialogues_anew():
    state = recovered(noted(noted(READY, NOW), NOW), NOW)
    assert noted(state, NOW).state is Health.READY


def test_a_probe_that_succeeds_makes_ready():
    assert recovered(THROTTLED, later(60)) == READY


def test_an_older_session_that_succeeds_does_not_end_a_throttle_early():
    assert recovered(THROTTLED, later(1)) == THROTTLED


def test_a_late_success_does_not_unlock_or_resume():
    assert recovered(LOCKED, NOW) == LOCKED
    assert recovered(PAUSED, NOW) == PAUSED


def test_a_verification_or_a_new_secret_unlocks_and_ends_a_throttle_but_no_pause():
    assert [unlocked(state) for state in (READY, THROTTLED, LOCKED, PAUSED)] == [READY, READY, READY, PAUSED]


def test_a_person_ends_a_pause_and_only_that():
    assert [resumed(state) for state in (READY, THROTTLED, LOCKED, PAUSED)] == [
        READY,
        THROTTLED,
        LOCKED,
        READY,
    ]


def test_a_throttle_may_become_a_lock_or_a_pause():
    assert locked(THROTTLED, "auth_refused", now=NOW).state is Health.LOCKED
    assert paused(THROTTLED, "ada@example.org", now=later(9)) == HealthState(
        Health.PAUSED, "ada@example.org", since=NOW
    )


def test_it_is_kept_since_when_a_connection_is_not_ready():
    assert (THROTTLED.since, LOCKED.since, PAUSED.since) == (NOW, NOW, NOW)
    probe_failed = throttled(THROTTLED, later(60))
    assert (probe_failed.until, probe_failed.since) == (later(180), NOW)
    assert locked(probe_failed, "auth_refused", now=later(180)).since == NOW
    assert recovered(probe_failed, later(180)).since is None
    assert throttled(recovered(probe_failed, later(180)), later(200)).since == later(200)


def said(phase: Phase, line: str, **more) -> Judgement:
    return judge(Case(Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:])), **more))


def test_a_judgement_changes_the_health_as_it_says():
    def after(judgement: Judgement) -> HealthState:
        return learned(READY, judgement, NOW, text="the server's words")

    closing = after(said(Phase.MAIL, "421 4.7.0 try again in 15 minutes"))
    assert (closing.state, closing.why, closing.until) == (Health.THROTTLED, "service_closing", later(900))
    refused = after(said(Phase.AUTH, "535 5.7.8 no"))
    assert (refused.state, refused.why, refused.text) == (
        Health.LOCKED,
        "sign_in_refused",
        "the server's words",
    )
    assert after(said(Phase.RCPT, "550 5.1.1 unknown")) == READY


def test_the_row_of_broken_dialogues_and_the_count_of_them_agree_on_the_third():
    state, changes = READY, []
    for _ in range(3):
        case = Case(Trouble(Phase.DATA, Cause.LOST), broken_running=state.broken_running + 1)
        judgement = judge(case)
        state = learned(state, judgement, NOW)
        changes.append((judgement.connection, state.state))
    assert changes == [
        (HealthChange.NOTE, Health.READY),
        (HealthChange.NOTE, Health.READY),
        (HealthChange.THROTTLE, Health.THROTTLED),
    ]


STEPS = st.sampled_from(
    [
        throttled,
        lambda state, now: throttled(state, now, 30.0),
        lambda state, now: locked(state, "auth_refused", now=now),
        lambda state, now: paused(state, "ada", now=now),
        noted,
        recovered,
        lambda state, _: unlocked(state),
        lambda state, _: resumed(state),
    ]
)
ALLOWED = {
    Health.READY: set(Health),
    Health.THROTTLED: set(Health),
    Health.LOCKED: {Health.LOCKED, Health.READY},
    Health.PAUSED: {Health.PAUSED, Health.READY},
}


@given(st.lists(st.tuples(STEPS, st.floats(0, 7200)), max_size=30))
def test_no_course_of_events_leaves_the_drawn_transitions(course):
    state, now = READY, NOW
    for step, seconds in course:
        now += timedelta(seconds=seconds)
        after = step(state, now)
        assert after.state in ALLOWED[state.state]
        assert (after.until is not None) == (after.state is Health.THROTTLED)
        assert (after.since is not None) == (after.state is not Health.READY)
        assert state.since is None or after.since in {None, state.since}
        state = after
