"""The limits of a connection: tokens that are out, come back on time, and are never more than the limit."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from ledger.kit import NOW, connect, later, on_postgresql, sql
from vaguemestre.ledger.allowance import (
    DAY,
    MINUTE,
    SLACK,
    Return,
    allowance,
    forget,
    give_back,
    returning,
    spend,
    spend_all,
    take,
)
from vaguemestre.ledger.models import Use

pytestmark = pytest.mark.django_db

INSTANT = timedelta(microseconds=1)


def limited(**limits):
    return connect(limits=limits).pk


def out(connection, *recipients, now=NOW):
    """Attempts that run, each with so many recipients."""
    attempts = {uuid4(): count for count in recipients}
    take(connection, attempts)
    return list(attempts)


def left(connection, now=NOW):
    found = allowance(connection, now)
    return found.messages, found.recipients


def test_a_connection_without_limits_allows_anything():
    found = allowance(connect().pk, NOW)
    assert (found.messages, found.recipients, found.most, found.limited) == (None, None, None, False)


def test_the_most_recipients_of_a_message_need_no_tokens():
    found = allowance(limited(max_recipients=7), NOW)
    assert (found.most, found.limited) == (7, False)


def test_what_an_attempt_takes_is_out_while_it_runs_however_long():
    connection = limited(per_minute=3, per_day=10)
    out(connection, 4)
    assert left(connection) == (2, 6)
    assert left(connection, later(days=40)) == (2, 6)


def test_tokens_come_back_a_minute_and_a_day_after_the_end_to_the_microsecond():
    connection = limited(per_minute=3, per_day=10)
    spend(out(connection, 4), later(hours=1))
    ended = later(hours=1)
    assert left(connection, ended + MINUTE - INSTANT) == (2, 6)
    assert left(connection, ended + MINUTE) == (3, 6)
    assert left(connection, ended + DAY - INSTANT) == (3, 6)
    assert left(connection, ended + DAY) == (3, 10)


def test_what_offered_nothing_is_back_at_once_and_what_ended_stays_out():
    connection = limited(per_minute=3, per_day=10)
    ended, begun = out(connection, 4), out(connection, 2)
    spend(ended, NOW)
    give_back(ended + begun)
    assert left(connection) == (2, 6)


def test_an_end_written_down_twice_is_the_first():
    connection = limited(per_minute=3)
    attempts = out(connection, 1)
    spend(attempts, NOW)
    spend(attempts, later(seconds=50))
    assert left(connection, later(seconds=60)) == (3, None)


def test_what_a_dead_courier_had_out_ends_when_its_lane_is_recovered():
    connection, other = limited(per_minute=3), connect("Other", limits={"per_minute": 3}).pk
    out(connection, 1, 1)
    out(other, 1)
    spend_all(connection, later(minutes=10))
    assert left(connection, later(minutes=11) - INSTANT) == (1, None)
    assert left(connection, later(minutes=11)) == (3, None)
    assert left(other, later(minutes=11)) == (2, None)


def test_a_lowered_limit_leaves_nothing_instead_of_less():
    connection = limited(per_minute=1, per_day=3)
    out(connection, 5, 5)
    assert left(connection) == (0, 0)


def test_a_clock_set_back_holds_tokens_for_one_term_from_then():
    connection = limited(per_minute=1)
    spend(out(connection, 1), NOW)
    back = NOW - timedelta(days=30)
    assert left(connection, back) == (0, None)
    assert left(connection, back + MINUTE) == (0, None)
    assert left(connection, back + SLACK + MINUTE) == (1, None)


def test_times_that_differ_a_little_do_not_bring_tokens_back_early():
    connection = limited(per_minute=1)
    spend(out(connection, 1), NOW)
    assert left(connection, NOW - SLACK) == (0, None)
    assert left(connection, NOW + MINUTE - INSTANT) == (0, None)


def test_it_is_told_when_the_next_message_can_have_its_tokens():
    connection = limited(per_minute=2, per_day=10)
    assert returning(connection, 1, NOW).at == NOW
    spend(out(connection, 1), NOW)
    spend(out(connection, 8), later(seconds=20))
    assert returning(connection, 1, later(seconds=20)).at == later(seconds=60)  # the first one's minute
    assert returning(connection, 2, later(seconds=20)).at == later(days=1)  # the first one's day
    assert returning(connection, 3, later(seconds=20)).at == later(days=1, seconds=20)
    assert returning(connection, 99, later(seconds=20)).at == later(days=1, seconds=20)  # it goes in pieces


def test_those_ahead_of_a_message_take_their_tokens_before_it():
    connection = limited(per_minute=10)
    for number in range(5):
        spend(out(connection, 1), later(seconds=number))
    asked = later(seconds=30)

    def leaves(ahead):
        return returning(connection, 1, asked, ahead).at

    assert leaves(4) == asked  # five are free
    assert leaves(5) == later(seconds=60)  # the first that is back
    assert leaves(9) == later(seconds=64)  # the last of them
    assert leaves(10) == asked + MINUTE  # one of those that went at once
    assert leaves(15) == later(seconds=120)
    assert leaves(105) == later(seconds=60) + 10 * MINUTE


def test_of_two_limits_the_one_that_lasts_is_named():
    connection = limited(per_minute=2, per_day=10)
    assert returning(connection, 1, NOW, ahead=9).limit == "per_minute"
    assert returning(connection, 1, NOW, ahead=10) == Return("per_day", later(days=1))
    running = out(connection, 10)
    assert returning(connection, 1, NOW) == Return("per_day", None)
    spend(running, NOW)
    assert returning(connection, 1, NOW) == Return("per_day", later(days=1))


def test_while_running_attempts_decide_no_time_is_told():
    connection = limited(per_minute=2)
    running = out(connection, 1, 1)
    assert returning(connection, 1, NOW).at is None
    spend(running[:1], later(seconds=5))
    assert returning(connection, 1, later(seconds=5)).at == later(seconds=65)


def test_no_limit_makes_no_message_wait():
    assert returning(limited(max_recipients=1), 50, NOW).at == NOW


def test_what_no_limit_counts_any_more_is_forgotten():
    connection = limited(per_day=10)
    spend(out(connection, 1), NOW)
    out(connection, 1)
    forget(later(days=1, seconds=1))
    assert Use.objects.count() == 1


def test_a_day_of_ten_thousand_is_counted_by_the_index():
    connection = limited(per_minute=100, per_day=10_000)
    moments = [NOW - timedelta(seconds=8 * number) for number in range(10_000)]
    Use.objects.bulk_create(
        Use(connection_id=connection, attempt=uuid4(), at=at, messages=1, recipients=1) for at in moments
    )
    assert left(connection, NOW) == (92, 0)
    assert returning(connection, 1, NOW).at == moments[-1] + DAY
    if not on_postgresql():  # whose planner decides by what it knows of so young a table
        plan = sql(
            "EXPLAIN QUERY PLAN SELECT SUM(recipients) FROM ledger_use"
            " WHERE connection_id = %s AND (at IS NULL OR at > %s)",
            connection, NOW - DAY,
        )  # fmt: skip
        assert "use_recent" in str(plan)


# A courier's life: it claims what is allowed, its attempts end, are put back or die with it, and the clock is set.
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("wait"), some.sampled_from([7, 29, 57, 61, 4000, 84_000, 86_400])),
        some.tuples(some.just("claim"), some.integers(1, 3)),
        some.tuples(some.just("claim"), some.integers(1, 3)),
        some.tuples(some.just("end"), some.integers(0, 9)),
        some.tuples(some.just("end"), some.integers(0, 9)),
        some.tuples(some.just("put_back"), some.integers(0, 9)),
        some.tuples(some.just("kill"), some.sampled_from([0, 12, 100])),
        some.tuples(some.just("set_back"), some.sampled_from([1, 30, 4000, 30 * 86_400])),
    ),
    min_size=20,
    max_size=60,
)
PER_MINUTE, PER_DAY = 2, 6


class Courier:
    """One lane under the limits, with the true time beside the clock's, and what the server saw."""

    def __init__(self):
        self.connection = limited(per_minute=PER_MINUTE, per_day=PER_DAY)
        self.true, self.wrong = 0.0, 0.0
        self.running = []  # [attempt, recipients, true time of what the server saw]
        self.seen = []  # (true time, recipients)

    @property
    def now(self):
        return NOW + timedelta(seconds=self.true + self.wrong)

    def do(self, step, amount):
        getattr(self, step)(amount)

    def claim(self, recipients):
        allowed = allowance(self.connection, self.now)
        if allowed.messages and allowed.recipients >= recipients:
            (attempt,) = out(self.connection, recipients, now=self.now)
            self.running.append((attempt, recipients))

    def end(self, which):
        if self.running:
            attempt, recipients = self.running.pop(which % len(self.running))
            self.seen.append((self.true, recipients))
            spend([attempt], self.now)

    def put_back(self, which):
        if self.running:
            give_back([self.running.pop(which % len(self.running))[0]])

    def kill(self, noticed_after):
        """The server saw all that ran at the last moment; the next courier comes later."""
        self.seen += [(self.true, recipients) for _, recipients in self.running]
        self.running.clear()
        self.true += noticed_after
        spend_all(self.connection, self.now)

    def set_back(self, seconds):
        self.wrong -= seconds

    def wait(self, seconds):
        self.true += seconds

    def most(self, term):
        """The most messages and recipients the server saw in any window of a term."""
        windows = [[count for at, count in self.seen if end - term < at <= end] for end, _ in self.seen]
        return max(map(len, windows), default=0), max(map(sum, windows), default=0)


@settings(
    max_examples=150, deadline=None, phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(steps=STEPS)
def test_no_window_holds_more_than_the_limits_whatever_dies_and_however_the_clock_is_set_back(steps):
    with transaction.atomic():
        courier = Courier()
        for step, amount in steps:
            courier.do(step, amount)
        courier.kill(0)
        assert courier.most(60)[0] <= PER_MINUTE
        assert courier.most(86_400)[1] <= PER_DAY
        transaction.set_rollback(True)


def test_after_any_life_all_tokens_are_back_in_time():
    courier = Courier()
    for step, amount in [("claim", 3), ("set_back", 4000), ("end", 0), ("claim", 3), ("kill", 12)] * 3:
        courier.do(step, amount)
    allowance(courier.connection, courier.now)
    courier.true += 86_400 + SLACK.total_seconds()
    assert left(courier.connection, courier.now) == (PER_MINUTE, PER_DAY)
