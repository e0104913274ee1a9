"""When a delivery leaves and what keeps it: every case, and an answer for every other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import TERMINAL, DeliveryState, Health, OnDoubt
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.installation import Pause, PauseWhy
from vaguemestre.policy.outlook import (
    Count,
    DeliveryFacts,
    Lane,
    Limit,
    LimitKind,
    Outlook,
    OutlookCode,
    of_delivery,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
QUEUED, CLAIMED, HELD, IN_DOUBT = (
    DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.HELD, DeliveryState.IN_DOUBT,
)  # fmt: skip
GREY = Reply(451, "4.7.1 Greylisted, please retry after 60 seconds")
LATER = Reply(450, "4.2.1 try again later")


def later(**amount):
    return NOW + timedelta(**amount)


def queued(**facts):
    """Due, and never tried."""
    return DeliveryFacts(**{"state": QUEUED, "due_at": NOW} | facts)


def doubtful(**facts):
    return DeliveryFacts(**{
        "state": IN_DOUBT, "due_at": later(minutes=10), "tried": True, "doubts": 1, "doubt_reason": "timeout",
    } | facts)  # fmt: skip


def lane(**facts):
    return Lane(name="Office", **facts)


def health(state, **facts):
    return HealthState(state, **facts)


THROTTLED = health(Health.THROTTLED, why="limit_reached", text="454 4.7.0 slow down", until=later(minutes=7))
LOCKED = health(Health.LOCKED, why="sign_in_refused", text="535 5.7.8 no")
PAUSED = health(Health.PAUSED, why="paused", text="user:ada@example.org")
PER_MINUTE = Limit(LimitKind.PER_MINUTE, 30, later(seconds=40))
RETRY = {"tried": True, "due_at": later(minutes=5), "why": "recipient_deferred", "said": LATER}

CASES = {
    "it leaves now": (
        queued(), lane(),
        OutlookCode.LEAVES_NOW, None, {"connection": "Office", "ahead": Count()},
    ),
    "it leaves when its turn comes": (
        queued(ahead=Count(10_000, more=True)), lane(),
        OutlookCode.LEAVES_NOW, None, {"connection": "Office", "ahead": Count(10_000, more=True)},
    ),
    "the backup carries it": (
        queued(backup_for="Farm"), lane(),
        OutlookCode.LEAVES_BY_BACKUP, None, {"connection": "Office", "ahead": Count(), "backup_for": "Farm"},
    ),
    "a backup is about to take it": (
        queued(), lane(health=LOCKED, backup="Farm"),
        OutlookCode.LEAVES_BY_BACKUP, None, {"connection": "Office", "backup": "Farm"},
    ),
    "it waits for its retry alone, since a backup stands in": (
        queued(**RETRY | {"said": None}), lane(health=LOCKED, backup="Farm"),
        OutlookCode.RETRY, later(minutes=5),
        {"connection": "Office", "backup": "Farm", "why": "recipient_deferred", "why_facts": {}},
    ),
    "no backup takes what may have arrived": (
        doubtful(), lane(health=LOCKED, backup="Farm"),
        OutlookCode.LOCKED, None,
        {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no", "doubt": "timeout",
         "not_before": later(minutes=10)},
    ),
    "it is being handed over": (
        DeliveryFacts(CLAIMED, claimed_at=NOW), lane(), OutlookCode.HANDING_OVER, None, {"since": NOW},
    ),
    "its answer is awaited": (
        DeliveryFacts(CLAIMED, claimed_at=NOW, staged_at=later(seconds=-2)), lane(),
        OutlookCode.AWAITING_ANSWER, None, {"since": later(seconds=-2)},
    ),
    "the courier that had it is gone": (
        DeliveryFacts(CLAIMED, claimed_at=NOW), lane(courier=False),
        OutlookCode.NO_COURIER, None, {"connection": "Office"},
    ),
    "it was asked to leave later": (
        queued(due_at=later(hours=3)), lane(), OutlookCode.SCHEDULED, later(hours=3), {},
    ),
    "it waits for its retry, since the server said so": (
        queued(**RETRY), lane(),
        OutlookCode.RETRY, later(minutes=5),
        {"why": "recipient_deferred", "why_facts": {}, "said": "450 4.2.1 try again later"},
    ),
    "its next try is the last": (
        queued(**RETRY, last_try=True), lane(),
        OutlookCode.RETRY, later(minutes=5),
        {"why": "recipient_deferred", "why_facts": {}, "said": "450 4.2.1 try again later", "last_try": True},
    ),
    "u27 it is greylisted": (
        queued(**RETRY | {"said": GREY}), lane(),
        OutlookCode.GREYLISTED, later(minutes=5),
        {"why": "recipient_deferred", "why_facts": {}, "said": str(GREY)},
    ),
    "its connection is throttled": (
        queued(), lane(health=THROTTLED),
        OutlookCode.THROTTLED, later(minutes=7),
        {"connection": "Office", "why": "limit_reached", "said": "454 4.7.0 slow down"},
    ),
    "the throttle ends before its retry": (
        queued(**RETRY | {"due_at": later(minutes=9), "said": None}), lane(health=THROTTLED),
        OutlookCode.RETRY, later(minutes=9), {"why": "recipient_deferred", "why_facts": {}},
    ),
    "the throttle ends behind its retry": (
        queued(**RETRY), lane(health=THROTTLED),
        OutlookCode.THROTTLED, later(minutes=7),
        {"connection": "Office", "why": "limit_reached", "said": "454 4.7.0 slow down"},
    ),
    "one delivery tries whether the connection works again": (
        queued(), lane(health=replace(THROTTLED, until=NOW)),
        OutlookCode.PROBING, None,
        {"connection": "Office", "why": "limit_reached", "said": "454 4.7.0 slow down"},
    ),
    "its connection is locked": (
        queued(), lane(health=LOCKED),
        OutlookCode.LOCKED, None, {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no"},
    ),
    "its connection is locked, and its time is yet to come": (
        queued(due_at=later(hours=3)), lane(health=LOCKED),
        OutlookCode.LOCKED, None,
        {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no", "not_before": later(hours=3)},
    ),
    "its connection is paused": (
        queued(), lane(health=PAUSED),
        OutlookCode.PAUSED, None, {"connection": "Office", "by": "user:ada@example.org"},
    ),
    "no courier is running, which is said before a lock": (
        queued(), lane(health=LOCKED, courier=False),
        OutlookCode.NO_COURIER, None,
        {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no", "locked": True},
    ),
    "no courier has the lane yet": (
        queued(), lane(served=False), OutlookCode.UNSERVED, None, {"connection": "Office"},
    ),
    "a limit is used up": (
        queued(), lane(limit=PER_MINUTE),
        OutlookCode.LIMIT_REACHED, later(seconds=40),
        {"connection": "Office", "limit": "per_minute", "tokens": 30},
    ),
    "a limit is used up by what is under way": (
        queued(), lane(limit=Limit(LimitKind.PER_DAY, 500, None)),
        OutlookCode.LIMIT_REACHED, None, {"connection": "Office", "limit": "per_day", "tokens": 500},
    ),
    "a limit is over already": (
        queued(), lane(limit=replace(PER_MINUTE, back_at=NOW)),
        OutlookCode.LEAVES_NOW, None, {"connection": "Office", "ahead": Count()},
    ),
    "its route is worked out anew": (queued(current=False), lane(), OutlookCode.REROUTING, None, {}),
    "its connection was just deactivated": (queued(), lane(active=False), OutlookCode.REROUTING, None, {}),
    "it is held": (
        DeliveryFacts(HELD, due_at=NOW, reason={"code": "ambiguous"}), None,
        OutlookCode.HELD, None, {"reason": {"code": "ambiguous"}},
    ),
    "it is held, and its time is yet to come": (
        DeliveryFacts(HELD, due_at=later(days=1), reason={"code": "ambiguous"}), None,
        OutlookCode.HELD, None, {"reason": {"code": "ambiguous"}, "not_before": later(days=1)},
    ),
    "it expires before its connection goes on": (
        queued(expires_at=later(minutes=5)), lane(health=THROTTLED),
        OutlookCode.EXPIRES, later(minutes=5),
        {"connection": "Office", "why": "limit_reached", "said": "454 4.7.0 slow down",
         "instead_of": "throttled", "not_before": later(minutes=7)},
    ),
    "it expires if it has not left by then": (
        queued(expires_at=later(hours=1)), lane(health=LOCKED),
        OutlookCode.LOCKED, None,
        {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no", "expires_at": later(hours=1)},
    ),
    "its end has come": (
        queued(expires_at=NOW), lane(health=LOCKED), OutlookCode.EXPIRES, NOW, {},
    ),
    "its end has come while it is held": (
        DeliveryFacts(HELD, due_at=NOW, expires_at=NOW), None, OutlookCode.EXPIRES, NOW, {},
    ),
    "it is in doubt and sent again by itself": (
        doubtful(), lane(), OutlookCode.DOUBT_RETRY, later(minutes=10), {"doubt": "timeout"},
    ),
    "it is in doubt and sent again now": (
        doubtful(due_at=NOW, ahead=Count(2)), lane(),
        OutlookCode.DOUBT_RETRY, None, {"doubt": "timeout", "ahead": Count(2)},
    ),
    "it is in doubt, never expires, and its connection is locked": (
        doubtful(expires_at=later(minutes=-1)), lane(health=LOCKED),
        OutlookCode.LOCKED, None,
        {"connection": "Office", "why": "sign_in_refused", "said": "535 5.7.8 no", "doubt": "timeout",
         "not_before": later(minutes=10)},
    ),
    "it was in doubt twice": (
        doubtful(due_at=None, doubts=2), lane(),
        OutlookCode.DOUBT_DECIDE, None, {"doubt": "timeout", "undecided": "twice"},
    ),
    "its stream leaves doubts to people": (
        doubtful(due_at=None, on_doubt=OnDoubt.HOLD), lane(),
        OutlookCode.DOUBT_DECIDE, None, {"doubt": "timeout", "undecided": "on_doubt"},
    ),
    "it is in doubt and the route would now be another": (
        doubtful(due_at=None), lane(),
        OutlookCode.DOUBT_DECIDE, None, {"doubt": "timeout", "undecided": "route"},
    ),
    "it is in doubt under an inactive connection": (
        doubtful(), lane(active=False),
        OutlookCode.DOUBT_INACTIVE, None, {"connection": "Office", "doubt": "timeout"},
    ),
    "it was accepted": (
        DeliveryFacts(DeliveryState.ACCEPTED, settled_at=NOW, said=Reply(250, "2.0.0 Ok")), lane(),
        OutlookCode.ACCEPTED, NOW, {"said": "250 2.0.0 Ok"},
    ),
    "it was accepted at its retry after a doubt": (
        DeliveryFacts(DeliveryState.ACCEPTED, settled_at=NOW, said=Reply(250, "2.0.0 Ok"), doubts=1), lane(),
        OutlookCode.ACCEPTED, NOW, {"said": "250 2.0.0 Ok"},
    ),
    "a person said that it arrived": (
        DeliveryFacts(DeliveryState.ACCEPTED, settled_at=NOW, doubts=1), lane(), OutlookCode.ARRIVED, NOW, {},
    ),
    "it was refused": (
        DeliveryFacts(
            DeliveryState.REFUSED, settled_at=NOW, why="recipient_refused", said=Reply(550, "5.1.1 unknown")
        ), lane(),
        OutlookCode.REFUSED, NOW,
        {"why": "recipient_refused", "why_facts": {}, "said": "550 5.1.1 unknown"},
    ),
    "it was given up": (
        DeliveryFacts(DeliveryState.EXPIRED, settled_at=NOW, why="recipient_deferred", said=LATER), lane(),
        OutlookCode.EXPIRED, NOW, {"why": "recipient_deferred", "why_facts": {}, "said": str(LATER)},
    ),
    "it expired as its submitter asked": (
        DeliveryFacts(DeliveryState.EXPIRED, settled_at=NOW, expires_at=later(seconds=-1), why="x"), lane(),
        OutlookCode.EXPIRED, NOW, {"expires_at": later(seconds=-1)},
    ),
    "it was cancelled": (
        DeliveryFacts(DeliveryState.CANCELLED, settled_at=NOW), None, OutlookCode.CANCELLED, NOW, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_decides_when_a_delivery_leaves(case):
    delivery, its_lane, code, at, facts = CASES[case]
    assert of_delivery(delivery, its_lane, NOW) == Outlook(code, at, facts)


BY_HAND = Pause(PauseWhy.BY_HAND, NOW, "user:ada@example.org")
PAUSED_FACTS = {"connection": "Office", "paused": "by_hand", "by": "user:ada@example.org", "since": NOW}
WHILE_PAUSED = {
    "it is due": (queued(), lane(), PAUSED_FACTS),
    "it is to leave later": (queued(due_at=later(hours=3)), lane(), PAUSED_FACTS | {"not_before": later(hours=3)}),
    "no courier is running either": (queued(), lane(courier=False), PAUSED_FACTS),
    "its connection is locked besides": (
        queued(), lane(health=LOCKED),
        PAUSED_FACTS | {"locked": True, "why": "sign_in_refused", "said": "535 5.7.8 no"},
    ),
    "its connection is paused besides": (queued(), lane(health=PAUSED), PAUSED_FACTS),
    "no backup takes it": (
        queued(), lane(health=LOCKED, backup="Farm"),
        PAUSED_FACTS | {"locked": True, "why": "sign_in_refused", "said": "535 5.7.8 no"},
    ),
    "its end has come, and nothing is given up meanwhile": (
        queued(expires_at=NOW), lane(), PAUSED_FACTS | {"expires_at": NOW},
    ),
    "it is in doubt, and would be sent again by itself": (
        doubtful(), lane(), PAUSED_FACTS | {"doubt": "timeout", "not_before": later(minutes=10)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHILE_PAUSED)
def test_while_all_of_sending_is_paused_that_is_what_keeps_it(case):
    delivery, its_lane, facts = WHILE_PAUSED[case]
    assert of_delivery(delivery, its_lane, NOW, BY_HAND) == Outlook(OutlookCode.SENDING_PAUSED, None, facts)


@pytest.mark.parametrize(
    ("delivery", "code"),
    [
        (DeliveryFacts(CLAIMED, claimed_at=NOW), OutlookCode.HANDING_OVER),
        (DeliveryFacts(HELD, expires_at=NOW, reason={"code": "ambiguous"}), OutlookCode.HELD),
        (doubtful(due_at=None, doubts=2), OutlookCode.DOUBT_DECIDE),
        (DeliveryFacts(DeliveryState.CANCELLED, settled_at=NOW), OutlookCode.CANCELLED),
    ],
)
def test_what_is_in_hands_or_waits_for_another_decision_says_so_while_paused_too(delivery, code):
    its_lane = None if delivery.state is HELD else lane()
    assert of_delivery(delivery, its_lane, NOW, BY_HAND).code is code


def test_every_code_has_a_case():
    covered = {code for _, _, code, _, _ in CASES.values()}
    assert covered | {OutlookCode.SENDING_PAUSED} == {*OutlookCode}


# What leads deep into the decisions is more frequent than what ends them early.
mostly = st.sampled_from([True, True, True, True, False])
moments = st.none() | st.integers(-90_000, 90_000).map(lambda seconds: later(seconds=seconds))
replies = st.none() | st.builds(Reply, st.integers(200, 599), st.sampled_from(["Ok", "4.7.1 Greylisted", ""]))
deliveries = st.builds(
    DeliveryFacts, state=st.sampled_from([*DeliveryState, *[QUEUED] * 12]), due_at=moments, current=mostly,
    tried=st.booleans(), why=st.sampled_from(["", "recipient_deferred"]), said=replies, last_try=st.booleans(),
    expires_at=st.none() | moments, claimed_at=moments, staged_at=moments, settled_at=moments, doubts=st.integers(0, 2),
    doubt_reason=st.just("timeout"), on_doubt=st.sampled_from(OnDoubt), backup_for=st.sampled_from(["", "Farm"]),
    reason=st.just({"code": "ambiguous"}), ahead=st.builds(Count, st.integers(0, 10_000), st.booleans()),
)  # fmt: skip
lanes = st.builds(
    Lane, name=st.just("Office"), active=mostly, courier=mostly, served=mostly,
    health=st.builds(HealthState, st.sampled_from([*Health, Health.READY, Health.THROTTLED, Health.THROTTLED]), until=moments),
    backup=st.sampled_from(["", "", "", "Farm"]), limit=st.none() | st.builds(Limit, st.sampled_from(LimitKind), st.integers(1, 9), moments),
)  # fmt: skip


@settings(max_examples=600)
@given(deliveries, st.one_of(st.none(), lanes, lanes, lanes))
def test_every_delivery_has_an_answer_and_no_time_at_which_it_is_still_kept(delivery, its_lane):
    found = of_delivery(delivery, its_lane, NOW)

    assert found.code in {*OutlookCode}
    ended = {
        OutlookCode.ACCEPTED,
        OutlookCode.ARRIVED,
        OutlookCode.REFUSED,
        OutlookCode.EXPIRED,
        OutlookCode.CANCELLED,
    }
    assert (found.code in ended) == (delivery.state in TERMINAL)
    if delivery.state is not QUEUED or its_lane is None or its_lane.backup:
        return
    # Whatever is named keeps it no longer than that, and nothing else does.
    if found.at is not None and found.code is not OutlookCode.EXPIRES:
        kept = [delivery.due_at, its_lane.limit.back_at if its_lane.limit else None]
        kept += [its_lane.health.until if its_lane.health.state is Health.THROTTLED else None]
        assert found.at == max(at for at in kept if at is not None) > NOW
        assert its_lane.courier
        assert its_lane.active
        assert its_lane.health.state in {Health.READY, Health.THROTTLED}
        assert delivery.expires_at is None or found.at < delivery.expires_at
    if found.code in {OutlookCode.LEAVES_NOW, OutlookCode.LEAVES_BY_BACKUP}:
        assert its_lane.served
        assert its_lane.health.state is Health.READY
        assert delivery.due_at is None or delivery.due_at <= NOW


@given(deliveries, lanes)
def test_what_is_in_doubt_never_expires_and_always_says_that_it_may_have_arrived(delivery, its_lane):
    delivery = replace(delivery, state=IN_DOUBT, doubts=max(1, delivery.doubts))
    found = of_delivery(delivery, its_lane, NOW)
    assert found.code is not OutlookCode.EXPIRES
    assert "expires_at" not in found.facts
    assert found.facts["doubt"] == "timeout"
