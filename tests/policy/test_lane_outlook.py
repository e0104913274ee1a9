"""What a lane is doing, and why not: every case, and an answer for every other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.installation import Pause, PauseWhy
from vaguemestre.policy.lane_outlook import Activity, LaneCode, Work, of_lane, recent
from vaguemestre.policy.outlook import Count, Lane, Limit, LimitKind, Outlook

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=4)
BEFORE = NOW - timedelta(seconds=9)


def lane(**facts):
    return Lane(name="Office", **facts)


THROTTLED = HealthState(Health.THROTTLED, why="service_closing", text="421 4.3.2 closing", until=UNTIL)
SAID = {"why": "service_closing", "said": "421 4.3.2 closing"}
LOCKED = HealthState(Health.LOCKED, why="access_denied", text="550 5.7.1 relay denied")
PAUSED = HealthState(Health.PAUSED, why="paused", text="cli:ada")
LIMIT = Limit(LimitKind.PER_DAY, 500, UNTIL)
DUE = Work(due=Count(3), oldest_due_at=BEFORE)
BUSY = Activity(sessions=3, in_flight=12, window=8, waiting=20, at=NOW)

CASES = {
    "there is nothing to do": (lane(), Work(), LaneCode.IDLE, None, {}),
    "it keeps a session open for the next message": (
        lane(), Work(activity=replace(BUSY, sessions=1, in_flight=0)),
        LaneCode.IDLE, None, {"sessions": 1, "in_flight": 0},
    ),
    "it is sending": (
        lane(), Work(due=Count(3), claimed=Count(30), activity=BUSY),
        LaneCode.SENDING, None, {"sessions": 3, "in_flight": 12},
    ),
    "it is sending, and has not said how": (lane(), Work(claimed=Count(1)), LaneCode.SENDING, None, {}),
    "it is about to take up what is due": (
        lane(), DUE, LaneCode.TAKING_UP, None, {"due": Count(3)},
    ),
    "all there is has a later time": (
        lane(), Work(later=Count(2), next_attempt_at=UNTIL), LaneCode.WAITING, UNTIL, {"later": Count(2)},
    ),
    "it is throttled, in the server's words": (
        lane(health=THROTTLED), Work(), LaneCode.THROTTLED, UNTIL, SAID,
    ),
    "it tries with one message whether the server works again": (
        lane(health=replace(THROTTLED, until=NOW)), DUE, LaneCode.PROBING, None, SAID,
    ),
    "its throttle is over, and there is nothing to try with": (
        lane(health=replace(THROTTLED, until=NOW)), Work(), LaneCode.IDLE, None, {},
    ),
    "it is locked": (
        lane(health=LOCKED), DUE, LaneCode.LOCKED, None,
        {"why": "access_denied", "said": "550 5.7.1 relay denied"},
    ),
    "it is paused": (lane(health=PAUSED), DUE, LaneCode.PAUSED, None, {"by": "cli:ada"}),
    "its limit is used up": (
        lane(limit=LIMIT), DUE, LaneCode.LIMIT_REACHED, UNTIL, {"limit": "per_day", "tokens": 500},
    ),
    "its limit is used up, and nothing waits for that": (lane(limit=LIMIT), Work(), LaneCode.IDLE, None, {}),
    "its limit outlasts its throttle": (
        lane(health=replace(THROTTLED, until=BEFORE + timedelta(minutes=1)), limit=LIMIT), DUE,
        LaneCode.LIMIT_REACHED, UNTIL, {"limit": "per_day", "tokens": 500},
    ),
    "it is inactive": (lane(active=False, courier=False), Work(), LaneCode.INACTIVE, None, {}),
    "it is inactive, and messages are held for it": (
        lane(active=False), Work(held=Count(7)), LaneCode.INACTIVE, None, {"held": Count(7)},
    ),
    "no courier is running": (lane(courier=False), DUE, LaneCode.NO_COURIER, None, {}),
    "no courier is running, and it is locked besides": (
        lane(courier=False, health=LOCKED), DUE, LaneCode.NO_COURIER, None,
        {"why": "access_denied", "said": "550 5.7.1 relay denied", "locked": True},
    ),
    "no courier has it yet": (lane(served=False), Work(), LaneCode.UNSERVED, None, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_lane_is_doing(case):
    its_lane, work, code, at, facts = CASES[case]
    assert of_lane(its_lane, work, NOW) == Outlook(code, at, facts | {"connection": "Office"})


def test_while_all_of_sending_is_paused_that_comes_first_and_nobody_stands_in():
    pause = Pause(PauseWhy.ELSEWHERE, BEFORE, "courier")
    facts = {"connection": "Office", "paused": "elsewhere", "by": "courier", "since": BEFORE}
    told = Outlook(LaneCode.SENDING_PAUSED, None, facts)
    for its_lane in (
        lane(),
        lane(courier=False),
        lane(served=False, health=PAUSED, limit=LIMIT, backup="Farm"),
    ):
        assert of_lane(its_lane, DUE, NOW, pause) == told
    locked = {"why": "access_denied", "said": "550 5.7.1 relay denied", "locked": True}
    assert of_lane(lane(health=LOCKED, backup="Farm"), Work(), NOW, pause) == replace(
        told, facts=facts | locked
    )
    assert of_lane(lane(active=False), DUE, NOW, pause).code is LaneCode.INACTIVE


def test_every_code_has_a_case():
    covered = {code for _, _, code, _, _ in CASES.values()}
    assert covered | {LaneCode.SENDING_PAUSED} == {*LaneCode}


def test_who_stands_in_is_told_whatever_the_lane_does():
    assert of_lane(lane(health=LOCKED, backup="Farm"), DUE, NOW).facts["backup"] == "Farm"


def test_what_a_courier_wrote_counts_for_15_seconds():
    fresh = replace(BUSY, at=NOW - timedelta(seconds=15))
    assert recent(fresh, NOW) == fresh
    assert recent(replace(BUSY, at=NOW - timedelta(seconds=15.1)), NOW) is None
    assert recent(None, NOW) is None


moments = st.none() | st.integers(-90_000, 90_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
counts = st.builds(Count, st.integers(0, 10_000), st.booleans())
lanes = st.builds(
    Lane, name=st.just("Office"), active=st.booleans(), courier=st.booleans(), served=st.booleans(),
    health=st.builds(HealthState, st.sampled_from(Health), until=moments),
    limit=st.none() | st.builds(Limit, st.sampled_from(LimitKind), st.integers(1, 9), moments),
)  # fmt: skip
works = st.builds(
    Work, due=counts, later=counts, claimed=counts, in_doubt=counts, held=counts, oldest_due_at=moments,
    next_attempt_at=moments, activity=st.none() | st.just(BUSY),
)  # fmt: skip


@given(lanes, works)
def test_every_lane_has_an_answer_and_says_that_it_sends_only_where_it_may(its_lane, work):
    found = of_lane(its_lane, work, NOW)

    assert found.code in {*LaneCode}
    if found.code in {LaneCode.SENDING, LaneCode.TAKING_UP, LaneCode.WAITING, LaneCode.IDLE}:
        assert its_lane.active
        assert its_lane.courier
        assert its_lane.served
        assert its_lane.health.state in {Health.READY, Health.THROTTLED}
    if found.code in {LaneCode.THROTTLED, LaneCode.LIMIT_REACHED} and found.at is not None:
        assert found.at > NOW
