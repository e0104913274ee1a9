"""Whether this installation sends at all: paused by a person, or because it may be a copy (fault D11).

While it is paused everything is accepted and nothing is claimed or staged: `queue.hold` asks. What had been
staged before may still get its end of data. Resuming takes the database as it is found: the next courier
makes it this installation's again.

One change is one transaction under the configuration's lock, with a line in the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from vaguemestre.ledger import conditions, installation, journal, wake
from vaguemestre.ledger.database import chunked, writing
from vaguemestre.ledger.instance import alone
from vaguemestre.ledger.models import Delivery, Event, Instance
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.installation import Pause, PauseWhy

_IN_HANDS = (
    "A courier still has some of what is to be cancelled in its hands. It gives it back within seconds; try"
    " again then. If no courier runs, start one: nothing is sent meanwhile."
)
BATCH = 500  # deliveries that are cancelled in one transaction


def paused() -> Pause | None:
    """Why nothing leaves; None while it does."""
    row = Instance.objects.only("paused", "paused_at", "paused_by", "paused_facts").get()
    if row.paused_at is None:
        return None
    return Pause(PauseWhy(row.paused), row.paused_at, row.paused_by, row.paused_facts)


def pause(
    actor: str, now: datetime, why: PauseWhy = PauseWhy.BY_HAND, facts: Mapping[str, int] | None = None
) -> Pause | None:
    """Let nothing leave from now on. The answer is None, and nothing changed, where it is paused already.

    What a person paused and may be a copy is told as one from then on, and not resumed as if it were none.
    """
    with alone():
        before = paused()
        if before is not None and (before.copy or why is PauseWhy.BY_HAND):
            return None
        begun = Pause(why, before.at if before else now, actor, dict(facts or {}))
        Instance.objects.update(
            paused=why.value, paused_at=begun.at, paused_by=actor, paused_facts=dict(begun.facts)
        )
        journal.record("sending", "instance", "paused", actor, now, {"why": [None, why.value]})
        wake.ring()
    return begun


def pause_by_hand(actor: str, now: datetime) -> Pause:
    """The same, as a person wants it.

    Raises:
        Conflict: it is paused already.
    """
    begun = pause(actor, now)
    if begun is None:
        raise Conflict("already_paused", "Sending is paused already.")
    return begun


@dataclass(frozen=True)
class Resumed:
    """What ended, and how many deliveries were cancelled before it did."""

    pause: Pause
    cancelled: int


def resume(actor: str, now: datetime, *, cancel_waiting: bool = False, seen: str = "") -> Resumed:
    """Let all that waits leave, and take this database for this installation's.

    Args:
        actor: for the journal and the time lines.
        now: when.
        cancel_waiting: whether what was there when the pause began is cancelled first, since it may have left
            before the copy was made. Some at a time, so that whoever hands over mail meanwhile does not wait;
            broken off, it stays paused and may be repeated. Nothing of it may be in a courier's hands.
        seen: when the pause began that the person saw, in ISO 8601; "" ends any.

    Raises:
        Conflict: it is not paused, was paused anew since, or what is to be cancelled is claimed: by a courier
            that returns it at this moment, or by one that died, whose claims the next courier finds.
    """
    ended = _paused(seen)
    cancelled = _cancel_waiting(ended, actor, now) if cancel_waiting else 0
    with alone():
        ended = _paused(seen)
        Instance.objects.update(paused="", paused_at=None, paused_by="", paused_facts={})
        if ended.copy:
            installation.take_as_found(now, ended.facts.get("reached", 0))
        changes = {"why": [ended.why.value, None], "cancelled": [None, cancelled]}
        journal.record("sending", "instance", "resumed", actor, now, changes)
        wake.ring()
    return Resumed(ended, cancelled)


def waiting(ended: Pause) -> int:
    """Deliveries that were there when the pause began, and leave when it ends, or are held."""
    return _before(ended).count()


def _paused(seen: str) -> Pause:
    found = paused()
    if found is None:
        raise Conflict("not_paused", "Sending is not paused; there is nothing to resume.")
    if seen not in {"", found.at.isoformat()}:
        raise Conflict("paused_anew", "Sending was paused anew since; look again.")
    return found


def _cancel_waiting(ended: Pause, actor: str, now: datetime) -> int:
    claimed = Delivery.objects.filter(conditions.claimed(), message__accepted_at__lt=ended.at)
    if claimed.exists():
        raise Conflict("in_hands", _IN_HANDS)
    cancelled = 0
    for some in chunked(sorted(_before(ended).values_list("pk", flat=True)), BATCH):
        _paused(ended.at.isoformat())  # somebody else may have let them leave meanwhile
        cancelled += _cancel(some, actor, now)
    return cancelled


def _cancel(some: Sequence[int], actor: str, now: datetime) -> int:
    with writing():
        still = Delivery.objects.filter(conditions.waiting(), pk__in=some).order_by("pk")
        chosen = list(still.select_for_update(of=("self",)))
        Delivery.objects.filter(pk__in=[one.pk for one in chosen]).update(
            state=DeliveryState.CANCELLED.value, settled_at=now, next_attempt_at=None
        )
        Event.objects.bulk_create(_cancelled(one, actor, now) for one in chosen)
    return len(chosen)


def _cancelled(delivery: Delivery, actor: str, now: datetime) -> Event:
    return Event(
        delivery=delivery,
        at=now,
        state=DeliveryState.CANCELLED.value,
        attempt=delivery.attempt,
        detail={"code": "cancelled", "actor": actor},
    )


def _before(ended: Pause) -> QuerySet[Delivery]:
    asked = Q(state=DeliveryState.IN_DOUBT.value, next_attempt_at=None)  # a person decides about it anyway
    return Delivery.objects.filter(conditions.waiting(), ~asked, message__accepted_at__lt=ended.at)
