"""A message's deliveries, events and attempts, told in the reader's language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from vaguemestre.ledger import delays, dsn_wording, journal, outlook, wording
from vaguemestre.ledger.messages import attempts_of, events_of
from vaguemestre.ledger.models import Attempt, Delivery, Event, Message, Version
from vaguemestre.ledger.outlook_wording import Sentence, delivery_sentences
from vaguemestre.ledger.sizes import size_text
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.transcript import Step
from vaguemestre.policy.outlook import Outlook
from vaguemestre.verification.wording import step_failed, step_text

# A session is used for one message behind the other; in a verification RSET is the end of a trial.
_RESET = {
    False: gettext_noop("Ready for another message"),
    True: gettext_noop("Not ready for another message"),
}
_CONTENT = re.compile(r"content, ([0-9]+) bytes")


@dataclass(frozen=True)
class DeliveryTold:
    """A recipient's state, what keeps it or how it ended, what the server said, and what to do."""

    delivery: Delivery
    outlook: Outlook
    sentences: list[Sentence]
    said: str
    remedy: str


@dataclass(frozen=True)
class EventTold:
    """A line of the time line; equal ones of several recipients are one.

    Attributes:
        report: the public id of the message that told the sender of it.
        sentences: what it waited for, where it was told late.
    """

    event: Event
    words: str
    reason: str
    recipients: tuple[str, ...]
    report: str
    sentences: list[Sentence]


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
    """A try and its steps.

    Attributes:
        settings: the last change of its connection before it: the settings it was made with.
    """

    attempt: Attempt
    steps: list[StepTold]
    settings: Version | None


def deliveries_told(deliveries: list[Delivery], now: datetime) -> list[DeliveryTold]:
    """Each recipient with its state in words, and when it leaves."""
    outlooks = outlook.of_deliveries(deliveries, now)
    return [
        DeliveryTold(
            delivery,
            expected,
            delivery_sentences(expected, quoting=False),
            _said(delivery, expected),
            dsn_wording.remedy(delivery),
        )
        for delivery, expected in zip(deliveries, outlooks, strict=True)
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
        AttemptTold(attempt, [_step_told(step) for step in attempt.steps], _settings(attempt))
        for attempt in reversed(attempts_of(message))
    ]


def _settings(attempt: Attempt) -> Version | None:
    return journal.before("connection", str(attempt.connection.uid), attempt.started_at)


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
    failed = step_failed(step)
    words = _(_RESET[failed]) if step.phase is Phase.RSET else step_text(step)
    return StepTold(words, failed, _sent_text(step.sent), said, kept["elapsed_ms"])


def _sent_text(sent: str) -> str:
    """What was sent, as it was; of a content, which is not kept here, how much in the reader's language."""
    content = _CONTENT.fullmatch(sent)
    return sent if content is None else _("content, %(size)s") % {"size": size_text(int(content[1]))}


def _told(events: list[Event], *, to_all: bool) -> EventTold:
    first = events[0]
    recipients = () if to_all else tuple(event.delivery.recipient for event in events)
    held = first.state == DeliveryState.HELD and "code" in first.detail
    words = wording.event_text(first.detail)
    report = str(first.detail["message"]) if first.detail.get("code") == "reported" else ""
    late = first.detail.get("code") == delays.CODE
    waited_for = delivery_sentences(delays.outlook_of(first.detail)) if late else []
    return EventTold(first, words, _reason(first) if held else "", recipients, report, waited_for)


def _reason(event: Event) -> str:
    reason = event.detail.get("reason")
    return wording.reason_text(reason) if isinstance(reason, dict) else ""


def _said(delivery: Delivery, expected: Outlook) -> str:
    """The server's words about what is told, else its last ones."""
    if expected.facts.get("said"):
        return str(expected.facts["said"])
    return "" if delivery.last_code is None else f"{delivery.last_code} {delivery.last_text}".strip()
