"""What a courier knew and could not record: kept as plain values, and settled later (fault D6).

An `Entry` is one attempt's end without its content and transcript. `courier.outcomes` keeps entries on the
machine's disk while the database is away; `replay` settles what still waits for them: a delivery that this
very attempt holds, or left in doubt. What was claimed again, answered by a person or recorded after all stays
as it is, so that replaying twice is replaying once.

Fails with ValueError for what is no entry, and where the database is away; then nothing of that entry was
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from vaguemestre.ledger import allowance, dsn_due, waits
from vaguemestre.ledger.claims import Report
from vaguemestre.ledger.database import AWAY, writing
from vaguemestre.ledger.ending import Ending, endings
from vaguemestre.ledger.models import Attempt, Delivery, Event, Lane
from vaguemestre.mail.state import DeliveryState

log = structlog.get_logger("ledger")

_OPEN = (DeliveryState.CLAIMED.value, DeliveryState.IN_DOUBT.value)


@dataclass(frozen=True)
class Entry:
    """One attempt's end.

    Attributes:
        offered: whether it counts against the connection's limits.
    """

    attempt: UUID
    connection_version: int
    started_at: datetime
    staged_at: datetime | None
    ended_at: datetime
    peer: str
    tls: str
    offered: bool
    endings: tuple[Ending, ...]

    def as_json(self) -> dict[str, Any]:
        """For a line of a file."""
        values = asdict(self)
        values["endings"] = [_plain(ending) for ending in values["endings"]]
        return _plain(values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Entry:
        """The entry that `as_json` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            return _entry(values)
        except (KeyError, TypeError, AttributeError) as fault:
            raise ValueError(f"this is no entry: {fault}") from None


def entry_of(report: Report) -> Entry:
    """What is kept of a report."""
    return Entry(
        attempt=UUID(report.claim.attempt),
        connection_version=report.connection_version,
        started_at=report.started_at,
        staged_at=report.staged_at,
        ended_at=report.ended_at,
        peer=report.peer,
        tls=report.tls,
        offered=report.offered,
        endings=endings(report),
    )


def replay(entries: Iterable[Entry], now: datetime) -> int:
    """Settle what still waits for these entries; the answer is how many deliveries that were.

    One that cannot be settled is told in the log, with all that it says, and passed over: no lane waits for
    it. What of it was staged is in doubt then, and the rest queued.

    Raises:
        OperationalError, InterfaceError, InternalError, OSError, MemoryError: the database is away, or this
            machine has no room; the same call may succeed later.
    """
    return sum(_replayed(entry, now) for entry in entries)


def _replayed(entry: Entry, now: datetime) -> int:
    try:
        return _replay(entry, now)
    except (*AWAY, OSError, MemoryError):
        raise
    except Exception:
        # Refused by the database for good, or a fault of ours.
        said = [(ending.delivery, ending.state.value, ending.code) for ending in entry.endings]
        log.exception("evidence_not_settled", attempt=str(entry.attempt), endings=said)
        return 0


def _replay(entry: Entry, now: datetime) -> int:
    with writing():
        waiting = _waiting(entry)
        settled = [delivery for delivery, ending in waiting if _settle(delivery, ending, entry, now)]
        dsn_due.mark((delivery.pk, delivery.state, delivery.notify) for delivery in settled)
        waits.begin((delivery.pk, now) for delivery in settled if delivery.state == DeliveryState.QUEUED)
        if settled:
            _keep_attempt(entry, settled[0])
            if entry.offered:
                allowance.spend([entry.attempt.hex], entry.ended_at)
            else:
                allowance.give_back([entry.attempt.hex])
        return len(settled)


def _waiting(entry: Entry) -> list[tuple[Delivery, Ending]]:
    endings = {ending.delivery: ending for ending in entry.endings}
    open_ = Delivery.objects.filter(pk__in=endings, attempt=entry.attempt, state__in=_OPEN)
    lanes = open_.order_by().values_list("connection_id", flat=True).distinct()
    # The lane before its deliveries, as everyone does: a courier that recovers it comes before or after.
    list(Lane.objects.select_for_update().filter(connection__in=list(lanes)).order_by("connection_id"))
    return [(delivery, endings[delivery.pk]) for delivery in open_.select_for_update().order_by("pk")]


def _settle(delivery: Delivery, ending: Ending, entry: Entry, now: datetime) -> bool:
    """Give the delivery its next state; False where the ledger knows as much."""
    if delivery.state == ending.state and delivery.doubts <= ending.doubts:
        return False  # else it is a retry, which whoever recovered its lane counted as another doubt
    _apply(delivery, ending, entry)
    delivery.save()
    detail = {
        "code": "evidence",
        "reply": None if ending.code is None else {"code": ending.code, "text": ending.text},
        "trouble": ending.trouble,
        "ended_at": entry.ended_at.isoformat(),
    }
    if ending.next_attempt_at is not None:
        detail["next"] = ending.next_attempt_at.isoformat()
    Event.objects.create(
        delivery=delivery, at=now, state=ending.state.value, attempt=entry.attempt, detail=detail
    )
    return True


def _apply(delivery: Delivery, ending: Ending, entry: Entry) -> None:
    delivery.state = ending.state.value
    delivery.next_attempt_at = ending.next_attempt_at
    delivery.counted, delivery.spent = ending.counted, ending.spent
    # As it was before this attempt was taken for doubtful, by whoever recovered its lane.
    delivery.doubts = ending.doubts
    delivery.doubt_reason = ending.doubt or delivery.doubt_reason
    if ending.code is not None:
        delivery.last_code, delivery.last_text = ending.code, ending.text
    delivery.trouble = ending.trouble
    if ending.next_attempt_at is not None:
        delivery.route_epoch -= 1  # to be routed anew: re-routing passed it over while it was in doubt
    delivery.settled_at = entry.ended_at if ending.state.terminal else None
    delivery.lane_epoch = delivery.claimed_at = delivery.staged_at = None
    delivery.orphaned = 0


def _keep_attempt(entry: Entry, delivery: Delivery) -> None:
    """The attempt's row without its transcript, which was lost with its courier."""
    kept: dict[str, Any] = {
        "message_id": delivery.message_id,
        "connection_id": delivery.connection_id,
        "connection_version": entry.connection_version,
        "lane_epoch": 0,  # which it was is not known any more
        "started_at": entry.started_at,
        "staged_at": entry.staged_at,
        "ended_at": entry.ended_at,
        "peer": entry.peer,
        "tls": entry.tls,
        "steps": [],
    }
    Attempt.objects.get_or_create(uid=entry.attempt, defaults=kept)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_text(value) for name, value in values.items()}


def _as_text(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _entry(values: Mapping[str, Any]) -> Entry:
    return Entry(
        attempt=UUID(values["attempt"]),
        connection_version=values["connection_version"],
        started_at=datetime.fromisoformat(values["started_at"]),
        staged_at=_moment(values["staged_at"]),
        ended_at=datetime.fromisoformat(values["ended_at"]),
        peer=values["peer"],
        tls=values["tls"],
        offered=values["offered"],
        endings=tuple(_ending_from(ending) for ending in values["endings"]),
    )


def _ending_from(values: Mapping[str, Any]) -> Ending:
    read = {"state": DeliveryState(values["state"]), "next_attempt_at": _moment(values["next_attempt_at"])}
    return Ending(**{**values, **read})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
