"""A random life: whatever submitters, couriers, people and crashes do, no delivery is in a state it cannot be in.

Hypothesis chooses the steps; after each of them the laws are asked of the database itself.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)  # fmt: skip

from ledger.kit import ACTOR, NOW, connect, epoch, lose_lease, post, report, settle, stage
from vaguemestre.ledger import connections, instance, leases, messages, queue, recovery, rerouting
from vaguemestre.ledger.claims import Settlement, Stale
from vaguemestre.ledger.connections import LeaveNone
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Event, Lane, Message
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import TERMINAL, DeliveryState

pytestmark = pytest.mark.django_db

# accepted, refused, in doubt, queued again, expired: more often the first
OUTCOMES = some.lists(some.sampled_from("aaaxddqe"), min_size=3, max_size=3)
TERMINAL_STATES = {state.value for state in TERMINAL}
# From one event to the next; a claim lies between some of them and is told by its attempt.
FOLLOWS = {
    "": {"queued", "held"},
    "queued": {"queued", "held", "accepted", "refused", "expired", "in_doubt", "cancelled"},
    "held": {"queued", "held", "expired", "cancelled"},
    "in_doubt": {"in_doubt", "queued", "held", "accepted", "cancelled"},
}


class Life(RuleBasedStateMachine):
    """Three connections, two couriers, some messages."""

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.clock = NOW
        self.lanes = [
            connect("One"),
            connect("Two", limits={"max_recipients": 2}),
            connect("Three", active=False),
        ]
        self.leases = {}  # (courier, connection) -> its latest lease, held or lost
        self.hands = []  # [lease, claim, staged] of every claim there was
        self.ended = {}
        self.transmitted = {}  # delivery -> what was recorded of each end of data that may have arrived

    def teardown(self):
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    # submitters

    @rule(
        recipients=some.integers(1, 3), named=some.sampled_from(["One", "Two", None, "Three"]),
        stream=some.sampled_from([None, "invoices"]), waits=some.sampled_from([False, False, True]), ends=some.booleans(),
    )  # fmt: skip
    def accept(self, recipients, named, stream, waits, ends):
        if Message.objects.count() >= 6:
            return
        post(
            *(f"to{number}@example.com" for number in range(recipients)), now=self.clock, connection=named, stream=stream,
            send_at=self.clock + timedelta(minutes=5) if waits else None,
            expires_at=self.clock + timedelta(minutes=30) if ends else None,
        )  # fmt: skip

    # couriers

    @initialize()
    def begin(self):
        self.take_lanes("a")

    @rule(courier=some.sampled_from("ab"), lost=some.lists(some.integers(0, 2), max_size=2))
    def take_lanes(self, courier, lost=()):
        for lane in lost:
            lose_lease(self.lanes[lane])
            Lane.objects.filter(connection=self.lanes[lane]).update(holder="")
        for lease in leases.take(courier, self.clock):
            if self.leases.get((courier, lease.connection_id)) != lease:
                recovery.recover(lease, self.clock)
            self.leases[courier, lease.connection_id] = lease

    @rule(
        until=some.sampled_from(["settled", "settled", "staged", "claimed"]),
        outcomes=OUTCOMES,
        rerouted=some.sampled_from([True, True, False]),
        minutes=some.sampled_from([11, 0, 1]),
    )
    def carry(self, until, outcomes, rerouted, minutes):
        """A courier's ordinary way, as far as it comes."""
        self.clock += timedelta(minutes=minutes)
        if rerouted:
            self.reroute()
        for lease in self.leases.values():
            for claim in self._claims(lease):
                self.hands.append([lease, claim, False])
                if until != "claimed":
                    self.stage(-1)
                if until == "settled":
                    self.settle(-1, outcomes)

    @precondition(lambda self: self.hands)
    @rule(which=some.integers(0, 50))
    def stage(self, which):
        hand = self._hand(which)
        lease, claim, staged = hand
        if staged:
            return
        try:
            stage(lease, claim, self.clock)
        except Stale:
            return
        hand[2] = True
        assert Connection.objects.get(pk=lease.connection_id).active
        for delivery in Delivery.objects.filter(attempt=claim.attempt):
            assert delivery.route_epoch == epoch()
            assert delivery.lane_epoch == Lane.objects.get(pk=lease.connection_id).epoch == lease.epoch

    @precondition(lambda self: self.hands)
    @rule(which=some.integers(0, 50), outcomes=OUTCOMES)
    def settle(self, which, outcomes):
        """Also of what was settled, put back or recovered already: a courier that is late."""
        lease, claim, staged = self._hand(which)
        pairs = list(zip(claim.duties, outcomes, strict=False))
        settlements = tuple(self._settlement(duty, kind, staged=staged) for duty, kind in pairs)
        whole = report(claim, DeliveryState.ACCEPTED, self.clock)
        ours = self._is_ours(lease, claim)
        done = replace(whole, settlements=settlements)
        try:
            assert settle(lease, done, self.clock) == ours
        except Stale:
            assert not ours
        if not ours:
            return
        for settlement in settlements:
            if settlement.state is DeliveryState.ACCEPTED or settlement.doubt:
                self.transmitted.setdefault(settlement.delivery, []).append(settlement.state.value)

    @precondition(lambda self: self.hands)
    @rule(which=some.integers(0, 50))
    def put_back(self, which):
        lease, claim, _ = self._hand(which)
        with suppress(Stale):
            recovery.put_back(lease, [claim], self.clock, {claim.attempt})  # it may have gone out

    @rule()
    def reroute(self):
        rerouting.reroute(self.clock)
        rerouting.expire(self.clock)

    # people

    @rule(
        lane=some.integers(0, 2),
        act=some.sampled_from(["active", "inactive", "default", "plain", "reply", "override", "fallback"]),
    )
    def configure(self, lane, act):
        uid = str(self.lanes[lane].uid)
        if act in {"override", "fallback"}:
            instance.change_settings({"default_mode": act}, ACTOR, self.clock)
            return
        values = {
            "active": {"active": True},
            "inactive": {"active": False},
            "default": {"is_default": True},
            "plain": {"is_default": False},
            "reply": {"reply_to": f"r{self.clock.minute}@example.org"},
        }[act]
        with suppress(Conflict, Refusal):
            connections.edit(uid, values, ACTOR, self.clock, LeaveNone())

    @precondition(lambda self: Message.objects.exists())
    @rule(
        which=some.integers(0, 50),
        act=some.sampled_from(["release", "cancel", "arrived", "send_again", "resend"]),
    )
    def decide(self, which, act):
        found = list(Message.objects.order_by("pk"))
        uid = str(found[which % len(found)].uid)
        with suppress(Conflict, Refusal):
            if act in {"arrived", "send_again"}:
                messages.resolve(uid, act, ACTOR, self.clock)
            elif act == "resend" and len(found) < 6:
                messages.resend(uid, ACTOR, self.clock)
            elif act != "resend":
                {"release": messages.release, "cancel": messages.cancel}[act](uid, ACTOR, self.clock)

    # the laws, asked of one look: to ask the database for each anew takes half of the test

    @invariant()
    def the_laws_hold(self):
        deliveries = list(Delivery.objects.all())
        events = list(Event.objects.order_by("pk").values("delivery_id", "attempt", "state", "detail__code"))
        every_transition_is_allowed_and_has_its_event(deliveries, events)
        columns_agree_with_states(deliveries)
        at_most_one_default_and_it_is_active()
        self.what_ended_stays_as_it_was(deliveries)
        self.nothing_goes_out_again_once_it_was_accepted()
        self.what_was_staged_is_never_put_back_as_queued(events)
        an_attempt_is_kept_once()

    def what_ended_stays_as_it_was(self, deliveries):
        for delivery in deliveries:
            if delivery.state in TERMINAL_STATES:
                row = {name: value for name, value in vars(delivery).items() if not name.startswith("_")}
                assert self.ended.setdefault(delivery.pk, row) == row
        assert self.ended.keys() <= {one.pk for one in deliveries if one.state in TERMINAL_STATES}

    def nothing_goes_out_again_once_it_was_accepted(self):
        for delivery, outcomes in self.transmitted.items():
            assert "accepted" not in outcomes[:-1], (delivery, outcomes)

    def what_was_staged_is_never_put_back_as_queued(self, events):
        staged = {claim.attempt for _, claim, staged in self.hands if staged}
        told = {
            one["detail__code"] for one in events if one["attempt"] in staged and one["state"] == "queued"
        }
        assert "put_back" not in told

    # inside

    def _claims(self, lease):
        try:
            return queue.claim(lease, 4, self.clock)
        except Stale:
            return []

    def _hand(self, which):
        return self.hands[which if which < 0 else which % len(self.hands)]

    def _is_ours(self, lease, claim):
        held = Delivery.objects.filter(attempt=claim.attempt, state="claimed", lane_epoch=lease.epoch).count()
        return held == len(claim.duties) and Lane.objects.get(pk=lease.connection_id).epoch == lease.epoch

    def _settlement(self, duty, kind, *, staged):
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


def every_transition_is_allowed_and_has_its_event(deliveries, events):
    told = {delivery.pk: "" for delivery in deliveries}
    for event in events:
        before, state = told[event["delivery_id"]], event["state"]
        assert state in FOLLOWS.get(before, set()), (before, state)
        told[event["delivery_id"]] = state
    for delivery in deliveries:
        claimed = delivery.state == "claimed" and told[delivery.pk] in {"queued", "in_doubt"}
        assert claimed or delivery.state == told[delivery.pk], (delivery.state, told[delivery.pk])


def columns_agree_with_states(deliveries):
    latest = epoch()
    for delivery in deliveries:
        assert (delivery.settled_at is not None) == (delivery.state in TERMINAL_STATES)
        assert (delivery.lane_epoch is not None) == (delivery.state == "claimed")
        if delivery.state in {"queued", "claimed", "in_doubt"}:
            assert delivery.route is not None
            assert delivery.connection_id is not None
        if delivery.state == "held":
            assert delivery.connection_id is None
        if delivery.state in {"queued", "held", "refused", "expired"}:
            assert delivery.doubts == 0
        assert delivery.route_epoch <= latest


def at_most_one_default_and_it_is_active():
    defaults = list(Connection.objects.filter(is_default=True).values_list("active", flat=True))
    assert defaults in ([], [True])


def an_attempt_is_kept_once():
    uids = list(Attempt.objects.values_list("uid", flat=True))
    assert len(uids) == len(set(uids))


def test_a_random_life_keeps_the_laws():
    run_state_machine_as_test(
        Life,
        # Without shrinking: it takes minutes here, and the steps that led to a fault read well as they are.
        settings=settings(
            max_examples=20,
            stateful_step_count=60,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
