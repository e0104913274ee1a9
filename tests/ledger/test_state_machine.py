"""A random life: whatever submitters, couriers, people and crashes do, no delivery is in a state it cannot be in.

Hypothesis chooses the steps; after each of them the laws are asked of the database itself.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.kit import ACTOR, NOW, connect, epoch, lose_lease, post, report
from vaguemestre.ledger import connections, instance, leases, messages, queue, rerouting
from vaguemestre.ledger.connections import LeaveNone
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Event, Lane, Message
from vaguemestre.ledger.queue import Settlement, Stale
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import TERMINAL, DeliveryState

pytestmark = pytest.mark.django_db

TERMINAL_STATES = {state.value for state in TERMINAL}
ALLOWED = {
    None: {"queued", "held"},
    "queued": {"claimed", "held", "queued", "cancelled", "expired"},
    "claimed": {"accepted", "refused", "expired", "in_doubt", "queued"},
    "held": {"queued", "held", "cancelled", "expired"},
    "in_doubt": {"claimed", "in_doubt", "queued", "held", "accepted", "cancelled"},
}


class Life(RuleBasedStateMachine):
    """Three connections, two couriers, some messages."""

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.clock = NOW
        self.lanes = [connect("One"), connect("Two"), connect("Three", active=False)]
        self.leases = {}  # (courier, connection) -> its latest lease, held or lost
        self.claims = {}  # delivery -> (lease, claim, staged)
        self.last = {}
        self.ended = {}
        self.transmitted = {}  # delivery -> how often its end of data went out without a recorded refusal

    def teardown(self):
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    # submitters

    @rule(
        recipients=some.integers(1, 3), named=some.sampled_from([None, "One", "Two", "Three"]),
        stream=some.sampled_from([None, "invoices"]), waits=some.booleans(), ends=some.booleans(),
    )  # fmt: skip
    def accept(self, recipients, named, stream, waits, ends):
        if Message.objects.count() >= 6:
            return
        post(
            *(f"to{number}@example.com" for number in range(recipients)), now=self.clock, connection=named, stream=stream,
            send_at=self.clock + timedelta(minutes=5) if waits else None,
            expires_at=self.clock + timedelta(hours=2) if ends else None,
        )  # fmt: skip

    # couriers

    @rule(courier=some.sampled_from("ab"))
    def take_lanes(self, courier):
        for lease in leases.take(courier, self.clock):
            self.leases[courier, lease.connection_id] = lease
            if lease.fresh:
                queue.recover(lease, self.clock)
                self._drop(lease.connection_id)

    @rule(lane=some.integers(0, 2))
    def lose(self, lane):
        lose_lease(self.lanes[lane])
        Lane.objects.filter(connection=self.lanes[lane]).update(holder="")

    @rule(
        courier=some.sampled_from("ab"),
        lane=some.integers(0, 2),
        limit=some.integers(1, 4),
    )
    def claim(self, courier, lane, limit):
        lease = self.leases.get((courier, self.lanes[lane].pk))
        if lease is None:
            return
        with suppress(Stale):
            for claim in queue.claim(lease, limit, self.clock):
                for duty in claim.duties:
                    self.claims[duty.id] = (lease, claim, False)

    @precondition(lambda self: self.claims)
    @rule(which=some.integers(0, 50))
    def stage(self, which):
        lease, claim, staged = self._claim(which)
        if staged:
            return
        try:
            queue.stage(lease, claim, self.clock)
        except Stale:
            return
        assert Connection.objects.get(pk=lease.connection_id).active
        for delivery in Delivery.objects.filter(attempt=claim.attempt):
            assert delivery.route_epoch == epoch()
            self.claims[delivery.pk] = (lease, claim, True)

    @precondition(lambda self: self.claims)
    @rule(which=some.integers(0, 50), outcomes=some.lists(some.sampled_from("axdqe"), min_size=3, max_size=3))
    def settle(self, which, outcomes):
        lease, claim, staged = self._claim(which)
        settlements = tuple(
            self._settlement(duty, kind, staged) for duty, kind in zip(claim.duties, outcomes, strict=False)
        )
        whole = report(claim, DeliveryState.ACCEPTED, self.clock)
        try:
            queue.settle(lease, queue.Report(**{**vars(whole), "settlements": settlements}), self.clock)
        except Stale:
            return
        for duty, kind in zip(claim.duties, outcomes, strict=False):
            if staged and kind in "ad":
                self.transmitted.setdefault(duty.id, []).append(kind)
            self.claims.pop(duty.id, None)

    @precondition(lambda self: self.claims)
    @rule(which=some.integers(0, 50))
    def put_back(self, which):
        lease, claim, _ = self._claim(which)
        with suppress(Stale):
            queue.put_back(lease, [claim], self.clock)
            for duty in claim.duties:
                self.claims.pop(duty.id, None)

    @rule()
    def reroute(self):
        rerouting.reroute(self.clock)
        rerouting.expire(self.clock)

    # people

    @rule(
        lane=some.integers(0, 2),
        act=some.sampled_from(["activate", "deactivate", "default", "plain", "reply"]),
    )
    def configure(self, lane, act):
        uid = str(self.lanes[lane].uid)
        values = {
            "activate": {"active": True},
            "deactivate": {"active": False},
            "default": {"is_default": True},
            "plain": {"is_default": False},
            "reply": {"reply_to": f"r{self.clock.minute}@example.org"},
        }[act]
        with suppress(Conflict, Refusal):
            connections.edit(uid, values, ACTOR, self.clock, LeaveNone())

    @rule(mode=some.sampled_from(["override", "fallback"]))
    def choose(self, mode):
        instance.change_settings({"default_mode": mode}, ACTOR, self.clock)

    @rule(
        which=some.integers(0, 50),
        act=some.sampled_from(["release", "cancel", "arrived", "send_again", "resend"]),
    )
    def decide(self, which, act):
        found = list(Message.objects.order_by("pk"))
        if not found:
            return
        uid = str(found[which % len(found)].uid)
        with suppress(Conflict, Refusal):
            if act in {"arrived", "send_again"}:
                messages.resolve(uid, act, ACTOR, self.clock)
            elif act == "resend" and len(found) < 6:
                messages.resend(uid, ACTOR, self.clock)
            elif act != "resend":
                {"release": messages.release, "cancel": messages.cancel}[act](uid, ACTOR, self.clock)

    @rule(minutes=some.sampled_from([1, 5, 11, 60]))
    def wait(self, minutes):
        self.clock += timedelta(minutes=minutes)

    # the laws

    @invariant()
    def every_transition_is_allowed_and_has_its_event(self):
        latest = {}
        for event in Event.objects.order_by("pk"):
            latest[event.delivery_id] = event.state
        for delivery in Delivery.objects.all():
            before = self.last.get(delivery.pk)
            if before != delivery.state:
                # Several steps may lie within one rule: recovering, then routing anew.
                assert delivery.state in ALLOWED.get(before, set()) | {before}, (before, delivery.state)
            self.last[delivery.pk] = delivery.state
            if delivery.state != "claimed":  # claims are told by their attempt
                assert latest[delivery.pk] == delivery.state

    @invariant()
    def what_ended_stays_as_it_was(self):
        for delivery in Delivery.objects.filter(state__in=TERMINAL_STATES):
            row = {name: value for name, value in vars(delivery).items() if not name.startswith("_")}
            assert self.ended.setdefault(delivery.pk, row) == row

    @invariant()
    def columns_agree_with_states(self):
        for delivery in Delivery.objects.all():
            assert (delivery.settled_at is not None) == (delivery.state in TERMINAL_STATES)
            assert (delivery.lane_epoch is not None) == (delivery.state == "claimed")
            if delivery.state in {"queued", "claimed", "in_doubt"}:
                assert delivery.route is not None
                assert delivery.connection_id is not None
            if delivery.state == "held":
                assert delivery.connection_id is None
            if delivery.state in {"queued", "held", "refused", "expired"}:
                assert delivery.doubts == 0
            assert delivery.route_epoch <= epoch()

    @invariant()
    def at_most_one_default_and_it_is_active(self):
        assert Connection.objects.filter(is_default=True).count() <= 1
        assert not Connection.objects.filter(is_default=True, active=False).exists()

    @invariant()
    def nothing_is_accepted_twice_without_a_doubt_between(self):
        for delivery, outcomes in self.transmitted.items():
            assert outcomes.count("a") <= 1
            if "a" in outcomes and len(outcomes) > 1:
                told = Event.objects.filter(delivery=delivery).values_list("state", flat=True)
                assert "in_doubt" in told

    @invariant()
    def an_attempt_is_kept_once(self):
        uids = list(Attempt.objects.values_list("uid", flat=True))
        assert len(uids) == len(set(uids))

    # inside

    def _claim(self, which):
        keys = sorted(self.claims)
        return self.claims[keys[which % len(keys)]]

    def _drop(self, connection_id):
        self.claims = {
            delivery: (lease, claim, staged)
            for delivery, (lease, claim, staged) in self.claims.items()
            if lease.connection_id != connection_id or Delivery.objects.get(pk=delivery).state == "claimed"
        }

    def _settlement(self, duty, kind, staged):
        soon = self.clock + timedelta(minutes=1)
        doubtful = duty.doubts > 0
        if kind == "a" and staged:
            return Settlement(duty.id, DeliveryState.ACCEPTED, Reply(250, "Ok"))
        if kind == "d" and staged:
            return Settlement(duty.id, DeliveryState.IN_DOUBT, doubt="connection_lost")
        if doubtful:
            return Settlement(duty.id, DeliveryState.IN_DOUBT, Reply(450, "Later"), delay_until=soon)
        if kind == "x":
            return Settlement(duty.id, DeliveryState.REFUSED, Reply(550, "No"))
        if kind == "e":
            return Settlement(duty.id, DeliveryState.EXPIRED, counted=True)
        return Settlement(duty.id, DeliveryState.QUEUED, delay_until=soon, delay=60.0, counted=True)


def test_a_random_life_keeps_the_laws():
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
