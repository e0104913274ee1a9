"""Messages as people ask about them: lists, one with its deliveries and attempts, and what a person may do.

A person's act is one transaction that checks the state it is meant for: cancelling what a courier holds is a
conflict, and so is answering a doubt that has moved on (a second click, an older page).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, prefetch_related_objects

from vaguemestre.ledger import conditions, explanations, waits, wake
from vaguemestre.ledger.accept import Submission, Via, accept, decide, decision_columns
from vaguemestre.ledger.contents import ContentGone, content_of
from vaguemestre.ledger.database import rows, storable, writing
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.models import ApiKey, Attempt, Connection, Delivery, Event, Message
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.redaction import redacted
from vaguemestre.mail.state import DeliveryState, Health, common_state

_WITH_DELIVERIES = ("delivery_set__connection", "delivery_set__explanation")


@dataclass(frozen=True)
class Filter:
    """Which messages to list.

    Attributes:
        state: a delivery's state that at least one of its deliveries has.
        search: part of a recipient or a subject, or a whole id or Message-ID.
        submitter: only this key's.
    """

    state: str = ""
    search: str = ""
    stream: str = ""
    connection: int | None = None
    submitter: ApiKey | None = None


@dataclass(frozen=True)
class Page:
    """One page of a list; `next` is the cursor of the one behind it."""

    items: list[Message]
    next: str | None


def listing(wanted: Filter, cursor: str | None, limit: int) -> Page:
    """Messages, the latest first. An unreadable cursor is the beginning."""
    found = matching(wanted)
    last = _last(cursor)
    if last is not None:
        at = last.accepted_at
        found = found.filter(Q(accepted_at__lt=at) | Q(pk__lt=last.pk), accepted_at__lte=at)
    # By time: the number of a message that came in pieces is below zero.
    latest = found.order_by("-accepted_at", "-pk").prefetch_related(*_WITH_DELIVERIES, "stream")
    items = list(latest[: limit + 1])
    return Page(items[:limit], _cursor(items[limit - 1]) if len(items) > limit else None)


def _cursor(last: Message) -> str:
    """A number above zero for each message: numbers above zero are doubled, those below odd."""
    return str(2 * last.pk if last.pk > 0 else -2 * last.pk + 1)


def _last(cursor: str | None) -> Message | None:
    """The last message of the page before."""
    if not cursor or not re.fullmatch("[0-9]{1,18}", cursor):
        return None
    half, below = divmod(int(cursor), 2)
    return Message.objects.filter(pk=-half if below else half).first()


def find(uid: str, submitter: ApiKey | None = None) -> Message:
    """The message of that public id; only the submitter's own, if one is named.

    Raises:
        Missing: there is none.
    """
    try:
        found = Message.objects.filter(uid=UUID(uid))
    except ValueError:
        raise Missing("message", uid) from None
    if submitter is not None:
        found = found.filter(submitter=submitter)
    message = found.select_related("stream", "explicit").first()
    if message is None:
        raise Missing("message", uid)
    return message


def deliveries_of(message: Message) -> list[Delivery]:
    """Its deliveries, in the order of its recipients."""
    # A list has fetched the connections already.
    prefetch_related_objects([message], *_WITH_DELIVERIES, "delivery_set__backup_for")
    return sorted(message.delivery_set.all(), key=lambda delivery: delivery.pk)


def next_attempt_of(delivery: Delivery) -> datetime | None:
    """When it may be tried next: not before its connection's pause is over; None if that is not known."""
    if delivery.state not in {DeliveryState.QUEUED, DeliveryState.IN_DOUBT} or delivery.connection is None:
        return None
    connection, at = delivery.connection, delivery.next_attempt_at
    if at is None or connection.health in {Health.LOCKED, Health.PAUSED}:
        return None
    return at if connection.health_until is None else max(at, connection.health_until)


def attempts_of(message: Message) -> list[Attempt]:
    """Its attempts, the first first."""
    return list(message.attempt_set.select_related("connection").order_by("pk"))


def events_of(message: Message) -> list[Event]:
    """How its deliveries got to their states."""
    return list(
        Event.objects.filter(delivery__message=message).select_related("delivery").order_by("at", "pk")
    )


def subject_of(message: Message) -> str:
    """Its subject for people; of a stream that wants it, without links and codes."""
    hides = message.stream is not None and message.stream.redact
    return redacted(message.subject) if hides else message.subject


def state_of(message: Message) -> str:
    """The common state of its deliveries, else `mixed`."""
    return common_state({delivery.state for delivery in message.delivery_set.all()})


def release(uid: str, actor: str, now: datetime) -> Message:
    """Route what waits, now, and let it go at once.

    Raises:
        Missing.
        Conflict: nothing of it waits, or there is no route.
    """
    with writing():
        message = find(uid)
        waiting = _in(_lock(message), DeliveryState.HELD, DeliveryState.QUEUED)
        if not waiting:
            raise Conflict("nothing_waits", "Nothing of this message is held or queued.")
        columns, current = _routed_now(message)
        if columns["connection_id"] is None:
            reason = str(columns["reason"]["code"])
            raise Conflict("no_route", "There is still no route for this message.", {"reason": reason})
        for delivery in waiting:
            _queue(delivery, columns, current, now)
            _event(delivery, now, {"code": "released", "actor": actor})
        wake.ring()
    return message


def cancel(uid: str, actor: str, now: datetime) -> Message:
    """End what has not left.

    Raises:
        Missing.
        Conflict: a courier holds it, or all of it has ended.
    """
    with writing():
        message = find(uid)
        deliveries = _lock(message)
        if _in(deliveries, DeliveryState.CLAIMED):
            raise Conflict("claimed", "A courier is sending this message at this moment; try again.")
        waiting = _in(deliveries, DeliveryState.QUEUED, DeliveryState.HELD, DeliveryState.IN_DOUBT)
        if not waiting:
            raise Conflict("terminal", "All of this message has ended; there is nothing to cancel.")
        for delivery in waiting:
            _end(delivery, DeliveryState.CANCELLED, now)
            _event(delivery, now, {"code": "cancelled", "actor": actor})
    return message


def resolve(  # noqa: PLR0913  what is narrowed down is named
    uid: str,
    outcome: str,
    actor: str,
    now: datetime,
    *,
    recipients: Sequence[str] = (),
    attempt: str | None = None,
) -> Message:
    """A person decides about deliveries in doubt: they arrived, or are sent again.

    Args:
        uid: the message's.
        actor: for the time line.
        now: when.
        outcome: "arrived" or "send_again".
        recipients: only these; none means all in doubt.
        attempt: the attempt that the person saw; another one since is a conflict (D10).

    Sent again, it is routed afresh; without a route it is held. The event says what differs from before.

    Raises:
        Missing.
        Refusal: another outcome.
        Conflict: nothing of it, or not all that was named, is in doubt; or the attempt is stale.
    """
    if outcome not in {"arrived", "send_again"}:
        raise Refusal(Invalid("outcome", "outcome_unknown", "Choose arrived or send_again."))
    with writing():
        message = find(uid)
        doubtful = _doubtful(message, recipients, attempt)
        if outcome == "arrived":
            for delivery in doubtful:
                _end(delivery, DeliveryState.ACCEPTED, now)
                _event(delivery, now, {"code": "arrived", "actor": actor})
            return message
        columns, current = _routed_now(message)
        for delivery in doubtful:
            differs = _differs(delivery, columns)
            delivery.doubts, delivery.doubt_reason = 0, ""
            _queue(delivery, columns, current, now)
            _event(delivery, now, {"code": "send_again", "actor": actor, "differs": differs})
        wake.ring()
    return message


def resend(uid: str, actor: str, now: datetime, by: ApiKey | None = None) -> Message:
    """A new message with the same content, to the same recipients, linked to this one; no revoked key's.

    It belongs to whose the first one is, and is held to the limits of `by`, the key that asks; a person has
    none.

    Raises:
        Missing.
        Refusal: what `by` may not send.
        Conflict: its content was removed at the end of its retention, or it asks for a deleted connection.
    """
    message = find(uid)
    try:
        content = content_of(message)
    except ContentGone:
        raise Conflict("content_gone", "The content of this message is not kept any more.") from None
    explicit = message.explicit
    if explicit is not None and explicit.deleted_at is not None:
        # Without it the copy would leave through somebody else's account (L4).
        message_text = f"The connection {explicit.name} was deleted."
        raise Conflict("no_route", message_text, {"reason": "explicit_gone"})
    reverse_path = Mailbox.parse(message.reverse_path) if message.reverse_path else None
    recipients = tuple(Mailbox.parse(delivery.recipient) for delivery in deliveries_of(message))
    key = message.submitter
    submission = Submission(
        envelope=Envelope(reverse_path, recipients),
        content=content,
        via=Via.CONSOLE if actor.startswith("user:") else Via.API,
        submitter=None if key is None or key.revoked_at is not None else key,
        stream=message.stream.key if message.stream else None,
        connection=str(explicit.uid) if explicit else None,
        on_doubt=message.on_doubt,
        tags=tuple(message.tags),
        metadata=message.metadata,
        resent_from=message,
        resent_by=by,
    )
    return accept(submission, now)


def depths() -> dict[str, int]:
    """How many deliveries are in each state that is not an end, by the indexes of these states."""
    waiting = Delivery.objects.filter(conditions.waiting()).values_list("state")
    found = dict(waiting.annotate(Count("pk")))
    claimed = Delivery.objects.filter(conditions.claimed()).count()
    return found | ({DeliveryState.CLAIMED.value: claimed} if claimed else {})


# By the indexes of what waits for people, whose conditions the literals are; the plus keeps SQLite from
# walking the index of all messages instead, and the connection, which each doubt has, that of all that waits.
_FOR_PEOPLE = """
SELECT (SELECT COUNT(DISTINCT message_id) FROM ledger_delivery WHERE state = 'held') AS held,
       (SELECT COUNT(DISTINCT +message_id) FROM ledger_delivery
        WHERE connection_id > 0 AND state = 'in_doubt' AND next_attempt_at IS NULL) AS in_doubt
"""


def waiting_for_people() -> dict[str, int]:
    """Messages that leave only if a person does something: held, or in doubt without a time to retry."""
    (found,) = rows(_FOR_PEOPLE, {})
    return found


def waiting_on(connection: Connection) -> int:
    """How many messages that have not left ask for that connection, by name or by their stream.

    While it is inactive or deleted they are held, unless a default carries everything (L4).
    """
    asking = Q(explicit=connection) | Q(explicit=None, stream__connection=connection)
    waits = Q(delivery__state__in=[DeliveryState.QUEUED, DeliveryState.HELD])
    return Message.objects.filter(asking & waits).distinct().count()


def oldest(state: DeliveryState) -> datetime | None:
    """When the oldest message with a delivery in that state was accepted."""
    # The state as a literal, or SQLite would read all that was ever sent.
    having = Delivery.objects.filter(conditions.in_state(state))
    found = having.aggregate(oldest=Min("message__accepted_at"))["oldest"]
    return found if isinstance(found, datetime) else None


def matching(wanted: Filter) -> QuerySet[Message]:
    """Which messages those are."""
    found = Message.objects.all()
    if wanted.submitter is not None:
        found = found.filter(submitter=wanted.submitter)
    if wanted.stream:
        found = found.filter(stream__key=wanted.stream)
    within = Q()
    if wanted.state:
        within &= Q(state=wanted.state)
    if wanted.connection is not None:
        within &= Q(connection_id=wanted.connection)
    if wanted.state == DeliveryState.ACCEPTED and wanted.connection is None:
        # Nearly all are: asked of each message, the latest first, it is answered after a page of them.
        found = found.filter(Exists(Delivery.objects.filter(within, message=OuterRef("pk"))))
    elif within:
        found = found.filter(pk__in=Delivery.objects.filter(within).values("message_id"))
    return found.filter(_search(wanted.search)) if wanted.search else found


def _search(text: str) -> Q:
    if not storable(text):
        return Q(pk=None)
    recipients = Delivery.objects.filter(recipient__icontains=text).values("message_id")
    matches = Q(subject__icontains=text) | Q(pk__in=recipients) | Q(message_id=text)
    try:
        # A Message-ID that we made holds the id.
        return matches | Q(uid=UUID(text.removeprefix("<").partition("@")[0]))
    except ValueError:
        return matches


def _lock(message: Message) -> list[Delivery]:
    """All of a message's deliveries, held at once: none changes its state between two questions."""
    return list(Delivery.objects.select_for_update().filter(message=message).order_by("pk"))


def _in(deliveries: Sequence[Delivery], *states: DeliveryState) -> list[Delivery]:
    return [delivery for delivery in deliveries if delivery.state in states]


def _doubtful(message: Message, recipients: Sequence[str], attempt: str | None) -> list[Delivery]:
    doubtful = [
        delivery
        for delivery in _in(_lock(message), DeliveryState.IN_DOUBT)
        if not recipients or delivery.recipient in recipients
    ]
    if not doubtful or {*recipients} - {delivery.recipient for delivery in doubtful}:
        raise Conflict("not_in_doubt", "Nothing of this message is in doubt any more.")
    if attempt is not None and any(str(delivery.attempt) != attempt for delivery in doubtful):
        raise Conflict("stale_attempt", "There was another attempt since; look at the message again.")
    return doubtful


def _routed_now(message: Message) -> tuple[dict[str, Any], int]:
    current = epoch()  # before all that routing asks, the stream included (L3)
    asked = find(str(message.uid))
    columns = decision_columns(decide(asked, asked.stream, configuration()))
    return columns | {"explanation_id": explanations.keep_one(columns, current)}, current


def _differs(delivery: Delivery, columns: dict[str, Any]) -> list[str]:
    """What of a route would not be as it was."""
    before, after = delivery.route or {}, columns["route"] or {}
    changed = [name for name in ("sender", "reply_to") if before.get(name) != after.get(name)]
    return [*(["connection"] if delivery.connection_id != columns["connection_id"] else []), *changed]


def _queue(delivery: Delivery, columns: dict[str, Any], current: int, now: datetime) -> None:
    routed = columns["connection_id"] is not None
    delivery.state = (DeliveryState.QUEUED if routed else DeliveryState.HELD).value
    delivery.connection_id, delivery.route = columns["connection_id"], columns["route"]
    delivery.explanation_id = columns["explanation_id"]
    delivery.route_epoch, delivery.next_attempt_at, delivery.backup_for = current, now, None
    delivery.save()
    waits.begin([(delivery.pk, now)])


def _end(delivery: Delivery, state: DeliveryState, now: datetime) -> None:
    delivery.state, delivery.settled_at, delivery.next_attempt_at = state.value, now, None
    delivery.save()


def _event(delivery: Delivery, now: datetime, detail: dict[str, Any]) -> None:
    Event.objects.create(
        delivery=delivery, at=now, state=delivery.state, attempt=delivery.attempt, detail=detail
    )
