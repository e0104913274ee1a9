"""Notifications that deliveries ended, and how, or are late (RFC 3461, RFC 3464).

They are for whoever handed a message over by SMTP.

A delivery is marked in the transaction that ends it, or tells that it is late (`dsn_due`). The mark is taken
off in the transaction that accepts the notification, by the one way in: one for each message and moment, and
none twice, whatever is killed in between. A delay that is over before it was reported is not reported.

Fails where the database is away; then every mark is where it was. A notification that cannot be made is told
in the log and on the message's page, and given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import override

from vaguemestre.ledger import dsn_wording
from vaguemestre.ledger.accept import Accepted, Submission, Via, accept_all
from vaguemestre.ledger.contents import ContentGone, piece
from vaguemestre.ledger.database import AWAY, on_postgresql, writing
from vaguemestre.ledger.dsn_wording import Told
from vaguemestre.ledger.models import Attempt, Delivery, Event, Message
from vaguemestre.ledger.outlook import of_deliveries, said
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.unsubscribing import CODE as UNSUBSCRIBED
from vaguemestre.mail.content import Content, header_end
from vaguemestre.mail.dsn import Action, Dsn, Ended, action_of, compose, status_of, status_of_delay
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, Health
from vaguemestre.policy.judgement import Why

STREAM = "notifications"
ABOUT = "reports_on"  # in a notification's metadata: the message it is about
BATCH = 20  # messages of one transaction

# What is refused here, without asking the server: RFC 3463 §3.4, §3.7, RFC 6531 §3.5.
_OURS = {
    "too_large": "5.3.4",
    "bare_line_ending": "5.6.0",
    "smtputf8_missing": "5.6.7",
    UNSUBSCRIBED: "5.7.1",
}
# Answers about the message or the recipient; others are about our account, and no submitter's business (L4).
_ABOUT_THE_MAIL = frozenset({Why.GREYLISTED, Why.RECIPIENT_DEFERRED, Why.MESSAGE_DEFERRED})
# What it waits for without an answer: RFC 3463 §3.1, §3.5.
_TURN, _OTHER = "4.4.5", "4.0.0"
_NETWORK: dict[str, str] = {
    Why.NO_ANSWER: "4.4.1",
    Why.CONNECTION_REFUSED: "4.4.1",
    Why.SERVER_UNAVAILABLE: "4.4.1",
    Why.NO_DIALOGUE: "4.4.2",
    Why.DIALOGUE_BROKEN: "4.4.2",
    Why.LOOKUP_FAILED: "4.4.3",
    Why.HOST_UNKNOWN: "4.4.4",
}

log = structlog.get_logger("ledger")


def send(now: datetime, limit: int = BATCH) -> int:
    """Report what is due of up to `limit` messages, one notification each; the answer is how many."""
    # Composed before the transaction begins: a write lock is dear.
    made = [_made(deliveries, now) for deliveries in _waiting(limit)]
    return _kept(made, now) if made else 0


def reports_of(message: Message) -> dict[int, str]:
    """The public ids of the notifications that told of its deliveries, by delivery."""
    if message.via != Via.SMTP:
        return {}
    told = Event.objects.filter(delivery__message=message, detail__code="reported").order_by("pk")
    return {event.delivery_id: str(event.detail["message"]) for event in told}


def about(message: Message) -> str:
    """The public id of the message that this notification tells of; "" where it is none."""
    return str(message.metadata.get(ABOUT, "")) if message.via == Via.REPORT else ""


def _due() -> QuerySet[Delivery]:
    # As a literal: SQLite takes the partial index `delivery_dsn_due` only where it can read its condition.
    condition = "ledger_delivery.dsn_due" if on_postgresql() else "ledger_delivery.dsn_due = 1"
    due = RawSQL(condition, [], output_field=BooleanField())  # noqa: S611  nobody's words but ours
    return Delivery.objects.filter(due)


def _waiting(limit: int) -> list[list[Delivery]]:
    """What is due, by message."""
    messages = list(_due().order_by("message_id").values_list("message_id", flat=True).distinct()[:limit])
    if not messages:
        return []
    found = _due().filter(message__in=messages).select_related("message__stream", "connection", "explanation")
    by_message = groupby(found.order_by("message_id", "pk"), key=lambda delivery: delivery.message_id)
    return [list(deliveries) for _, deliveries in by_message]


@dataclass(frozen=True)
class _Made:
    """A notification of these deliveries; None where it could not be made.

    Attributes:
        marked: the deliveries whose marks it takes off.
        told: those of which it tells; none where all of it is over.
    """

    marked: Sequence[Delivery]
    told: Sequence[Delivery]
    submission: Submission | None

    def as_it_stood(self, states: Mapping[int, str]) -> bool:
        """Whether all of it is still due, as it was told; what has ended since is told as that."""
        return all(states.get(delivery.pk) == delivery.state for delivery in self.marked)


def _made(marked: Sequence[Delivery], now: datetime) -> _Made:
    told = [delivery for delivery in marked if _action(delivery) is not None]
    try:
        return _Made(marked, told, _submission(told, now) if told else None)
    except AWAY:
        raise
    except Exception:
        # Whatever it is, it must not keep all other notifications from being made.
        log.exception("dsn_not_made", message=str(marked[0].message.uid))
        return _Made(marked, told, None)


def _action(delivery: Delivery) -> Action | None:
    """What is to be reported of it by now; None where its delay is over, or has a notice of another kind."""
    if DeliveryState(delivery.state).terminal:
        return action_of(delivery.state, delivery.notify)
    return Action.DELAYED if delivery.state in {DeliveryState.QUEUED, DeliveryState.CLAIMED} else None


def _submission(deliveries: Sequence[Delivery], now: datetime) -> Submission:
    message = deliveries[0].message
    to = Mailbox.parse(message.reverse_path)
    return Submission(
        envelope=Envelope(None, (to,)),
        content=_content(message, to, deliveries, now),
        via=Via.REPORT,
        stream=STREAM,
        metadata={ABOUT: str(message.uid)},
    )


def _kept(made: Sequence[_Made], now: datetime) -> int:
    """Accept the notifications and take the marks off; what another courier was faster with is left out."""
    wanted = {delivery.pk for one in made for delivery in one.marked}
    with writing():
        locked = _due().filter(pk__in=wanted).order_by("pk").select_for_update()
        due = dict(locked.values_list("pk", "state"))
        still = [one for one in made if one.as_it_stood(due)]
        answers = iter(accept_all([one.submission for one in still if one.submission is not None], now))
        details = [_told(one, next(answers) if one.submission is not None else None) for one in still]
        Event.objects.bulk_create(
            Event(delivery=delivery, at=now, state=delivery.state, detail=detail)
            for one, detail in zip(still, details, strict=True)
            for delivery in one.told
        )
        done = [delivery.pk for one in still for delivery in one.marked]
        Delivery.objects.filter(pk__in=done).update(dsn_due=False)
    return len(still)


def _told(made: _Made, answer: Accepted | Refusal | None) -> dict[str, str]:
    """What the time line says of it."""
    if isinstance(answer, Accepted):
        return {"code": "reported", "message": answer.uid}
    if isinstance(answer, Refusal):
        log.error("dsn_refused", message=str(made.marked[0].message.uid), why=str(answer))
    return {"code": "unreported"}


def _content(message: Message, to: Mailbox, deliveries: Sequence[Delivery], now: datetime) -> Content:
    attempts = _ends_of_attempts(deliveries)
    told = [
        Told(_reported(delivery, attempts.get(delivery.attempt)), delivery, expected)
        for delivery, expected in zip(deliveries, of_deliveries(deliveries, now), strict=True)
    ]
    original = _original(message)
    with override(settings.LANGUAGE_CODE):
        subject, text = dsn_wording.subject(told, message.subject), dsn_wording.text(told)
    return compose(
        Dsn(
            to=to,
            sender=_sender(deliveries),
            subject=subject,
            text=text,
            reporting=message.received_by,
            arrived_at=message.accepted_at,
            ended=tuple(one.ended for one in told),
            envid=message.envid,
            message_id=message.message_id,
            original=original,
            whole=_whole(message, told) and len(original) == message.size,
        )
    )


def _ends_of_attempts(deliveries: Sequence[Delivery]) -> dict[UUID | None, datetime]:
    found = Attempt.objects.filter(uid__in={delivery.attempt for delivery in deliveries})
    return {attempt.uid: attempt.ended_at for attempt in found.only("uid", "ended_at")}


def _reported(delivery: Delivery, attempted_at: datetime | None) -> Ended:
    action = _action(delivery)
    return _delayed(delivery, attempted_at) if action is Action.DELAYED else _ended(delivery, attempted_at)


def _delayed(delivery: Delivery, attempted_at: datetime | None) -> Ended:
    connection, why = delivery.connection, str((delivery.trouble or {}).get("why", ""))
    admitted = connection is not None and connection.health == Health.READY
    if connection is not None and not admitted:
        why = connection.health_why
    reply = said(delivery) if admitted and why in _ABOUT_THE_MAIL else None
    return Ended(
        recipient=Mailbox.parse(delivery.recipient),
        action=Action.DELAYED,
        status=status_of_delay(reply, _NETWORK.get(why, _TURN if admitted else _OTHER)),
        orcpt=delivery.orcpt,
        reply=reply,
        remote="" if connection is None else connection.host,
        attempted_at=attempted_at,
        retry_until=_retry_until(delivery, admitted=admitted),
    )


def _retry_until(delivery: Delivery, *, admitted: bool) -> datetime | None:
    """Its own end, or that of its retries; while its connection does not work, these cost nothing (L7)."""
    ends = [] if delivery.expires_at is None else [delivery.expires_at]
    if admitted and delivery.next_attempt_at is not None:
        left = max(0.0, delivery.retry_age - delivery.spent)
        ends.append(delivery.next_attempt_at + timedelta(seconds=left))
    return min(ends, default=None)


def _ended(delivery: Delivery, attempted_at: datetime | None) -> Ended:
    reply, trouble = None, delivery.trouble or {}
    why = str(trouble.get("why", ""))
    if delivery.state == DeliveryState.REFUSED:
        told = trouble.get("cause") == "reply"  # else refused without asking: the words are of an earlier try
    else:
        told = delivery.state == DeliveryState.ACCEPTED or why in _ABOUT_THE_MAIL
    if delivery.last_code is not None and told:
        reply = Reply(delivery.last_code, delivery.last_text)
    return Ended(
        recipient=Mailbox.parse(delivery.recipient),
        action=action_of(delivery.state, delivery.notify) or Action.FAILED,
        status=status_of(delivery.state, reply, _OURS.get(why, "")),
        orcpt=delivery.orcpt,
        reply=reply,
        remote="" if delivery.connection is None else delivery.connection.host,
        attempted_at=attempted_at,
    )


def _sender(deliveries: Sequence[Delivery]) -> NamedMailbox | None:
    """That of the connection that was tried: where no rule says otherwise, it carries the notification."""
    for delivery in deliveries:
        connection = delivery.connection
        if connection is not None and connection.active:
            return NamedMailbox(Mailbox.parse(connection.sender_ascii), connection.sender_name)
    return None


def _whole(message: Message, told: Sequence[Told]) -> bool:
    """RFC 3461 §4.3: only of a failure. What a stream keeps from being read is not copied to another one."""
    redacted = message.stream is not None and message.stream.redact
    return message.ret == "FULL" and not redacted and any(one.ended.action is Action.FAILED for one in told)


def _original(message: Message) -> bytes:
    """The first chunk: all of a message of usual size; nothing where not even its header section is in it."""
    try:
        first = piece(message.pk, 0)
    except ContentGone:
        return b""
    return first if len(first) == message.size or header_end(first) is not None else b""
