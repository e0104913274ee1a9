"""When a delivery leaves, and what keeps it: the answer of a message's page.

`of_delivery` is a function of values and `now`. It promises an answer for every delivery, whatever its state
and its lane's. Of everything that keeps a delivery, the answer names what decides: what only a person can end
before what ends by itself, and of the times the latest; at a time that is named, nothing else that is known
still keeps it. Codes and facts only; the texts are made at the edge, in the reader's language. Nothing fails
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, Health, OnDoubt
from vaguemestre.policy import wording
from vaguemestre.policy.health import READY, HealthState, probing
from vaguemestre.policy.installation import Pause


class OutlookCode(StrEnum):
    """What a delivery waits for, or how it ended."""

    LEAVES_NOW = "leaves_now"  # it is due and its lane works; `ahead` come before it
    LEAVES_BY_BACKUP = "leaves_by_backup"  # the same, through the connection that stands in
    HANDING_OVER = "handing_over"  # a courier has it
    AWAITING_ANSWER = "awaiting_answer"  # its end of data is out
    SCHEDULED = "scheduled"
    RETRY = "retry"
    GREYLISTED = "greylisted"
    REROUTING = "rerouting"
    SENDING_PAUSED = "sending_paused"  # all of it, whatever the connection
    NO_COURIER = "no_courier"
    UNSERVED = "unserved"  # couriers run, and none has taken this lane yet
    LOCKED = "locked"
    PAUSED = "paused"
    THROTTLED = "throttled"
    PROBING = "probing"  # past its throttle, one delivery goes ahead
    LIMIT_REACHED = "limit_reached"
    HELD = "held"
    DOUBT_RETRY = "doubt_retry"  # in doubt, sent again by itself
    DOUBT_DECIDE = "doubt_decide"  # in doubt, a person decides
    DOUBT_INACTIVE = "doubt_inactive"  # in doubt, and the connection that had it is inactive
    EXPIRES = "expires"  # before it could leave
    ACCEPTED = "accepted"
    ARRIVED = "arrived"  # a person said so
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class LimitKind(StrEnum):
    """Which of a connection's limits is used up."""

    PER_MINUTE = "per_minute"
    PER_DAY = "per_day"


class Undecided(StrEnum):
    """Why a delivery in doubt waits for a person."""

    ON_DOUBT = "on_doubt"  # its message or stream asks for that
    TWICE = "twice"
    ROUTE = "route"  # routing would now answer otherwise


@dataclass(frozen=True)
class Count:
    """How many; with `more`, more than so many: to count a million costs more than the answer is worth."""

    number: int = 0
    more: bool = False

    def __bool__(self) -> bool:
        return self.number > 0


ZERO = Count()


@dataclass(frozen=True)
class Limit:
    """A limit of a connection that is used up.

    Attributes:
        tokens: of the limit.
        back_at: when the next delivery could have what it needs; None while running attempts decide it.
    """

    kind: LimitKind
    tokens: int
    back_at: datetime | None


@dataclass(frozen=True)
class Lane:
    """A connection's lane at one moment, as far as it decides when something leaves.

    Attributes:
        name: the connection's.
        active: whether it may carry mail (L3).
        courier: whether any courier runs.
        served: whether a courier holds the lane.
        limit: that is used up.
        backup: the name of the connection that stands in now; what is due goes there.
    """

    name: str
    active: bool = True
    health: HealthState = READY
    courier: bool = True
    served: bool = True
    limit: Limit | None = None
    backup: str = ""


@dataclass(frozen=True)
class DeliveryFacts:
    """A delivery as its outlook sees it.

    Attributes:
        due_at: when it may be tried; None for never by itself.
        current: whether it is routed as of now (L3).
        tried: whether a courier ever had it: its time is then a retry's, not the submitter's.
        why: the code of the last trouble, "" for none; `why_facts` are its facts.
        said: the server's words where they were that trouble, else its last ones.
        last_try: whether another failure is the last.
        reason: why it is routed as it is, or held: {"code", "facts"}.
        backup_for: the name of the connection that its own stands in for.
        ahead: due before it on its lane.
    """

    state: DeliveryState
    due_at: datetime | None = None
    current: bool = True
    tried: bool = False
    why: str = ""
    why_facts: Mapping[str, str] = field(default_factory=dict)
    said: Reply | None = None
    last_try: bool = False
    expires_at: datetime | None = None
    claimed_at: datetime | None = None
    staged_at: datetime | None = None
    settled_at: datetime | None = None
    doubts: int = 0
    doubt_reason: str = ""
    on_doubt: OnDoubt = OnDoubt.RETRY
    reason: Mapping[str, Any] = field(default_factory=dict)
    backup_for: str = ""
    ahead: Count = ZERO


@dataclass(frozen=True)
class Outlook:
    """The answer.

    Attributes:
        code: an `OutlookCode`, or a `LaneCode` of `lane_outlook`.
        at: when it is to happen, or happened; None where no time is known.
        facts: for its text. A fact that is not known is not there.
    """

    code: str
    at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def of_delivery(
    delivery: DeliveryFacts, lane: Lane | None, now: datetime, pause: Pause | None = None
) -> Outlook:
    """When it leaves and what keeps it, or how it ended.

    Args:
        delivery: the delivery.
        lane: that of its connection, if it has one.
        now: when it is asked.
        pause: of all sending, while there is one; nothing is given up meanwhile.
    """
    if delivery.state.terminal:
        return _ended(delivery)
    if pause is None and _over(delivery, now) and (lane is None or lane.courier):
        return Outlook(OutlookCode.EXPIRES, delivery.expires_at)
    if delivery.state is DeliveryState.HELD or lane is None:
        return _unrouted(delivery, now)
    if delivery.state is DeliveryState.CLAIMED:
        return _in_hands(delivery, lane)
    if delivery.state is DeliveryState.IN_DOUBT and (delivery.due_at is None or not lane.active):
        return _undecided(delivery, lane)
    return _waiting(delivery, lane, now, pause)


def lane_stopped(lane: Lane, pause: Pause | None) -> Outlook | None:
    """What only a person can end: nothing of the lane leaves until then."""
    facts: dict[str, Any] = {"connection": lane.name}
    locked = lane.health.state is Health.LOCKED
    health = facts | _health_words(lane.health)
    # Mostly somebody else's to mend, and there is still something to do about a lock meanwhile.
    besides = health | {"locked": True} if locked else facts
    if pause is not None:
        paused = {"paused": pause.why.value, "by": pause.by, "since": pause.at}
        return Outlook(OutlookCode.SENDING_PAUSED, None, besides | paused)
    if not lane.courier:
        return Outlook(OutlookCode.NO_COURIER, None, besides)
    if locked:
        return Outlook(OutlookCode.LOCKED, None, health)
    if lane.health.state is Health.PAUSED:
        return Outlook(OutlookCode.PAUSED, None, facts | {"by": lane.health.text})
    return None


def lane_waits(lane: Lane, now: datetime) -> list[Outlook]:
    """What ends by itself, each with its time. A used up limit of unknown end has none."""
    facts, until = {"connection": lane.name}, lane.health.until
    found = []
    if lane.health.state is Health.THROTTLED and until is not None and until > now:
        found.append(Outlook(OutlookCode.THROTTLED, until, facts | _health_words(lane.health)))
    if lane.limit is not None and (lane.limit.back_at is None or lane.limit.back_at > now):
        limit = {"limit": lane.limit.kind.value, "tokens": lane.limit.tokens}
        found.append(Outlook(OutlookCode.LIMIT_REACHED, lane.limit.back_at, facts | limit))
    return found


def lane_starts(lane: Lane, now: datetime) -> Outlook | None:
    """What is over in moments: nobody has the lane yet, or one delivery tries whether it works again."""
    if not lane.served:
        return Outlook(OutlookCode.UNSERVED, None, {"connection": lane.name})
    if probing(lane.health, now):
        return Outlook(OutlookCode.PROBING, None, {"connection": lane.name} | _health_words(lane.health))
    return None


def decisive(found: Iterable[Outlook]) -> Outlook | None:
    """Of several that wait for a time, the one that lasts longest; an unknown time is over first."""
    known = list(found)
    timed = [one for one in known if one.at is not None]
    if timed:
        return max(timed, key=lambda one: (one.at is not None, one.at))
    return known[0] if known else None


def _unrouted(delivery: DeliveryFacts, now: datetime) -> Outlook:
    if delivery.state is not DeliveryState.HELD:
        return _told(OutlookCode.REROUTING, None, delivery)
    return _until_a_person(Outlook(OutlookCode.HELD, None, {"reason": delivery.reason}), delivery, now)


def _waiting(delivery: DeliveryFacts, lane: Lane, now: datetime, pause: Pause | None) -> Outlook:
    works = lane.courier and pause is None
    # Nothing that may have arrived moves to a backup.
    if lane.backup and works and delivery.state is DeliveryState.QUEUED and delivery.current:
        return _by_backup(delivery, lane, now)
    stopped = lane_stopped(lane, pause)
    if stopped is not None:
        return _until_a_person(stopped, delivery, now)
    if not delivery.current or not lane.active:
        return _told(OutlookCode.REROUTING, None, delivery)
    waits = decisive([*_own_wait(delivery, now), *lane_waits(lane, now)])
    if waits is not None:
        return _in_time(_with_circumstances(waits, delivery), delivery)
    starts = lane_starts(lane, now)
    if starts is not None:
        return _in_time(_with_circumstances(starts, delivery), delivery)
    return _in_time(_leaves(delivery, lane), delivery)


def _by_backup(delivery: DeliveryFacts, lane: Lane, now: datetime) -> Outlook:
    """It waits for its own time alone: another connection stands in for the one that it is routed by."""
    own = decisive(_own_wait(delivery, now)) or Outlook(OutlookCode.LEAVES_BY_BACKUP)
    names = {"connection": lane.name, "backup": lane.backup}
    return _in_time(_with_circumstances(replace(own, facts={**own.facts, **names}), delivery), delivery)


def _own_wait(delivery: DeliveryFacts, now: datetime) -> list[Outlook]:
    """Its own time, where that is to come."""
    if delivery.due_at is None or delivery.due_at <= now:
        return []
    if delivery.state is DeliveryState.IN_DOUBT:
        return [Outlook(OutlookCode.DOUBT_RETRY, delivery.due_at)]
    if not delivery.tried:
        return [Outlook(OutlookCode.SCHEDULED, delivery.due_at)]
    said = delivery.said
    grey = said is not None and wording.greylisted(said)
    code = OutlookCode.GREYLISTED if grey else OutlookCode.RETRY
    last = {"last_try": True} if delivery.last_try else {}
    return [Outlook(code, delivery.due_at, _why(delivery) | last)]


def _leaves(delivery: DeliveryFacts, lane: Lane) -> Outlook:
    if delivery.state is DeliveryState.IN_DOUBT:
        return _told(OutlookCode.DOUBT_RETRY, None, delivery, ahead=delivery.ahead)
    code = OutlookCode.LEAVES_BY_BACKUP if delivery.backup_for else OutlookCode.LEAVES_NOW
    return _told(code, None, delivery, connection=lane.name, ahead=delivery.ahead)


def _over(delivery: DeliveryFacts, now: datetime) -> bool:
    """Whether its end has come and a courier is about to say so."""
    expires = delivery.state in {DeliveryState.QUEUED, DeliveryState.HELD}
    return expires and delivery.expires_at is not None and delivery.expires_at <= now


def _in_time(outlook: Outlook, delivery: DeliveryFacts) -> Outlook:
    """The same, unless it expires before. What is in doubt never expires (L6)."""
    end = delivery.expires_at
    if end is None or outlook.at is None or outlook.at < end or delivery.state is DeliveryState.IN_DOUBT:
        return outlook
    facts = {name: value for name, value in outlook.facts.items() if name != "expires_at"}
    return Outlook(OutlookCode.EXPIRES, end, facts | {"instead_of": outlook.code, "not_before": outlook.at})


def _in_hands(delivery: DeliveryFacts, lane: Lane) -> Outlook:
    if not lane.courier:
        return _told(OutlookCode.NO_COURIER, None, delivery, connection=lane.name)
    if delivery.staged_at is not None:
        return _told(OutlookCode.AWAITING_ANSWER, None, delivery, since=delivery.staged_at)
    return _told(OutlookCode.HANDING_OVER, None, delivery, since=delivery.claimed_at)


def _undecided(delivery: DeliveryFacts, lane: Lane) -> Outlook:
    if not lane.active:
        return _told(OutlookCode.DOUBT_INACTIVE, None, delivery, connection=lane.name)
    if delivery.doubts > 1:
        why = Undecided.TWICE
    else:
        why = Undecided.ON_DOUBT if delivery.on_doubt is OnDoubt.HOLD else Undecided.ROUTE
    return _told(OutlookCode.DOUBT_DECIDE, None, delivery, undecided=why.value)


def _until_a_person(outlook: Outlook, delivery: DeliveryFacts, now: datetime) -> Outlook:
    """What a person must end, with the time before which it would not leave in any case."""
    later = delivery.due_at is not None and delivery.due_at > now
    more = {"not_before": delivery.due_at} if later else {}
    return _with_circumstances(replace(outlook, facts=dict(outlook.facts) | more), delivery)


def _ended(delivery: DeliveryFacts) -> Outlook:
    code = {
        DeliveryState.REFUSED: OutlookCode.REFUSED,
        DeliveryState.EXPIRED: OutlookCode.EXPIRED,
        DeliveryState.CANCELLED: OutlookCode.CANCELLED,
    }.get(delivery.state, OutlookCode.ACCEPTED)
    if code is OutlookCode.ACCEPTED and delivery.doubts and not _positive(delivery.said):
        code = OutlookCode.ARRIVED
    facts = _why(delivery) if code in {OutlookCode.REFUSED, OutlookCode.EXPIRED} else {}
    end, at = delivery.expires_at, delivery.settled_at
    if code is OutlookCode.EXPIRED and end is not None and at is not None and end <= at:
        facts = {"expires_at": end}  # as its submitter asked
    if code is OutlookCode.ACCEPTED and delivery.said is not None and _positive(delivery.said):
        facts = {"said": str(delivery.said)}
    return Outlook(code, at, facts)


def _told(code: OutlookCode, at: datetime | None, delivery: DeliveryFacts, **facts: object) -> Outlook:
    return _with_circumstances(Outlook(code, at, facts), delivery)


def _with_circumstances(outlook: Outlook, delivery: DeliveryFacts) -> Outlook:
    """With what is so whatever it waits for: its doubt, its end, whom its connection stands in for."""
    more: dict[str, object] = {}
    if delivery.doubts:
        more["doubt"] = delivery.doubt_reason
    elif delivery.expires_at is not None and delivery.state is not DeliveryState.CLAIMED:
        more["expires_at"] = delivery.expires_at
    if delivery.backup_for:
        more["backup_for"] = delivery.backup_for
    return replace(outlook, facts={**more, **outlook.facts})


def _why(delivery: DeliveryFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if delivery.why:
        facts |= {"why": delivery.why, "why_facts": delivery.why_facts}
    if delivery.said is not None:
        facts["said"] = str(delivery.said)
    return facts


def _health_words(health: HealthState) -> dict[str, Any]:
    found = {"why": health.why, "said": health.text}
    return {name: value for name, value in found.items() if value}


def _positive(reply: Reply | None) -> bool:
    return reply is not None and reply.positive
