"""A message's deliveries, events and attempts, told in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.ledger import wording
from vaguemestre.ledger.messages import attempts_of, events_of, next_attempt_of
from vaguemestre.ledger.models import Attempt, Delivery, Event, Message
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.transcript import Step
from vaguemestre.verification.wording import step_failed, step_text


@dataclass(frozen=True)
class DeliveryTold:
    """A recipient's state, and why."""

    delivery: Delivery
    why: str
    said: str
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class EventTold:
    """A line of the time line; equal ones of several recipients are one."""

    event: Event
    words: str
    reason: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class StepTold:
    """A step of a try: in words, what was sent, and what the server said."""

    words: str
    failed: bool
    sent: str
    said: str
    elapsed_ms: float


@dataclass(frozen=True)
class AttemptTold:
    """A try and its steps."""

    attempt: Attempt
    steps: list[StepTold]


def deliveries_told(deliveries: list[Delivery]) -> list[DeliveryTold]:
    """Each recipient with its state in words."""
    return [
        DeliveryTold(delivery, _why(delivery), _said(delivery), next_attempt_of(delivery))
        for delivery in deliveries
    ]


def events_told(message: Message, deliveries: int) -> list[EventTold]:
    """The time line, the first first; what happened to several at once is one line, and names them unless it
    happened to all.
    """
    lines: dict[tuple[object, ...], list[Event]] = {}
    for event in events_of(message):
        lines.setdefault((event.at, event.state, str(event.detail)), []).append(event)
    return [_told(events, to_all=len(events) == deliveries) for events in lines.values()]


def attempts_told(message: Message) -> list[AttemptTold]:
    """The tries, the latest first."""
    return [
        AttemptTold(attempt, [_step_told(step) for step in attempt.steps])
        for attempt in reversed(attempts_of(message))
    ]


def _step_told(kept: dict[str, Any]) -> StepTold:
    reply = kept.get("reply")
    step = Step(
        phase=Phase(kept["phase"]),
        sent=kept["sent"],
        reply=None if reply is None else Reply(reply["code"], reply["text"]),
        error=Cause(kept["error"]) if kept.get("error") else None,
        detail=kept.get("detail", ""),
    )
    said = "" if step.reply is None else str(step.reply)
    return StepTold(step_text(step), step_failed(step), step.sent, said, kept["elapsed_ms"])


def _told(events: list[Event], *, to_all: bool) -> EventTold:
    first = events[0]
    recipients = () if to_all else tuple(event.delivery.recipient for event in events)
    held = first.state == DeliveryState.HELD and "code" in first.detail
    return EventTold(first, wording.event_text(first.detail), _reason(first) if held else "", recipients)


def _reason(event: Event) -> str:
    reason = event.detail.get("reason")
    return wording.reason_text(reason) if isinstance(reason, dict) else ""


def _why(delivery: Delivery) -> str:
    state = DeliveryState(delivery.state)
    if state is DeliveryState.IN_DOUBT:
        return wording.doubt_text(delivery.doubt_reason)
    if state is DeliveryState.HELD:
        return wording.reason_text(delivery.reason)
    if delivery.trouble and state not in {DeliveryState.ACCEPTED, DeliveryState.CANCELLED}:
        return wording.trouble_text(delivery.trouble)
    return ""


def _said(delivery: Delivery) -> str:
    return "" if delivery.last_code is None else f"{delivery.last_code} {delivery.last_text}".strip()
