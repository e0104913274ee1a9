"""Acceptance: validate, route, commit; only then does a door say 202 or 250 (L5).

`accept` is the one way in, for every door. It refuses what cannot be (an unknown stream or connection, a
sender that the key may not use, too many bytes) and holds what merely has no route yet. The content is stored
in chunks as it came; what leaves is rendered from it later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings

from vaguemestre.ledger import connections, streams
from vaguemestre.ledger.database import storable, writing
from vaguemestre.ledger.hops import ehlo_name
from vaguemestre.ledger.identity import new_id
from vaguemestre.ledger.instance import configuration, epoch
from vaguemestre.ledger.models import ApiKey, Chunk, Connection, Delivery, Event, Message, Stream
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.content import LINE_LIMIT, Content
from vaguemestre.mail.envelope import RECIPIENT_LIMIT, Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.reply import printable
from vaguemestre.mail.state import DeliveryState, OnDoubt
from vaguemestre.policy.routing import Configuration, Decision, Request, Route, route

CHUNK = 262_144  # bytes; a message up to this size is one chunk
RETRY_AGE = 5 * 24 * 3600.0  # seconds of counted delays, where no stream says otherwise
FARTHEST = timedelta(days=366)  # of send_at
TAGS = 20
_FROM = "from"


class Via(StrEnum):
    """The door a message came through."""

    API = "api"
    SMTP = "smtp"
    CLI = "cli"
    CONSOLE = "console"


@dataclass(frozen=True)
class Submission:
    """What a submitter hands over.

    Attributes:
        submitter: the key it came with; None for people and trusted networks.
        stream: the stream's key.
        connection: public id or name of a connection asked for by name.
        on_doubt: "retry", "hold", or "" for the stream's.
        send_at: not before.
        expires_at: not after, whatever the schedule says.
        resent_from: the message that this one repeats.
    """

    envelope: Envelope
    content: Content
    via: Via
    submitter: ApiKey | None = None
    stream: str | None = None
    connection: str | None = None
    on_doubt: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    send_at: datetime | None = None
    expires_at: datetime | None = None
    resent_from: Message | None = None


def accept(submission: Submission, now: datetime) -> Message:
    """Take a message over. When this returns, outside another transaction, it is committed and fsynced.

    Raises:
        Refusal: the faults, each at its field; nothing was stored.
    """
    # The epoch before all that routing asks: what changes in between is newer than the mark (L3).
    current = epoch()
    stream, explicit = _named_things(submission)
    from_ = header_mailbox(submission.content)
    _refuse(submission, from_, now)
    with writing():
        message = _store(submission, stream, explicit, from_, now)
        decision = decide(message, stream, configuration())
        _store_deliveries(submission, message, decision, current, now)
    return message


def explain(stream: str | None, from_: str | None, connection: str | None) -> Decision:
    """What routing would answer, with every rule (`route explain`).

    Raises:
        Refusal: an unknown stream or connection, or no address.
    """
    found, explicit = _found(stream, connection)
    try:
        sender = NamedMailbox(Mailbox.parse(from_, _FROM)) if from_ else None
    except Invalid as fault:
        raise Refusal(fault) from None
    return route(_request(found, explicit, sender, None, null=False), configuration())


def decide(message: Message, stream: Stream | None, configured: Configuration) -> Decision:
    """The route of a stored message under a configuration: the same question at every asking."""
    from_ = named(message.header_from)
    request = _request(
        stream, message.explicit, from_, message.header_reply_to or None, null=not message.reverse_path
    )
    return route(request, configured)


def decision_columns(decision: Decision) -> dict[str, Any]:
    """What a delivery keeps of a decision."""
    common = {
        "reason": decision.reason.as_json(),
        "rules": [rule.as_json() for rule in decision.rules],
    }
    if not isinstance(decision, Route):
        return common | {"connection_id": None, "route": None}
    sender = decision.sender
    leaves = {
        "sender": None if sender is None else {"email": sender.mailbox.wire, "name": sender.name},
        "reply_to": decision.reply_to,
        "reverse_path": None if decision.reverse_path is None else decision.reverse_path.wire,
    }
    return common | {"connection_id": decision.connection_id, "route": leaves}


def routing_detail(code: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What an event tells of a decision: what happened, and the reason."""
    return {"code": code, "reason": columns["reason"]}


def header_mailbox(content: Content, name: str = "From") -> NamedMailbox | None:
    """The mailbox of a header field; None where there is no such field.

    Raises:
        Refusal: the field is there twice, or does not hold exactly one address: what a key may send as and
            what a connection permits is asked of one (RFC 7489 §6.6.1 sees several as abuse).
    """
    fields = [raw for known, raw in content.fields if known == name.lower().encode()]
    if not fields:
        return None
    if len(fields) > 1:
        raise Refusal(Invalid(name.lower(), "header_twice", f"The header {name} is there twice."))
    try:
        mailboxes = content.mailboxes(name, limit=RECIPIENT_LIMIT)
    except Invalid as fault:
        raise Refusal(fault) from None
    if not mailboxes:
        raise Refusal(Invalid(name.lower(), "address_syntax", f"The header {name} holds no email address."))
    if len(mailboxes) > 1:
        message = f"The header {name} names more than one address."
        raise Refusal(Invalid(name.lower(), "address_single", message))
    return mailboxes[0]


def _named_things(submission: Submission) -> tuple[Stream | None, Connection | None]:
    key = submission.submitter
    if key is not None and key.streams and submission.stream not in key.streams:
        message = f"This key may only use the streams {', '.join(key.streams)}."
        raise Refusal(Invalid("stream", "stream_not_allowed", message))
    return _found(submission.stream, submission.connection)


def _found(stream: str | None, connection: str | None) -> tuple[Stream | None, Connection | None]:
    try:
        return (
            streams.find(stream) if stream else None,
            connections.find(connection) if connection else None,
        )
    except Missing as missing:
        raise Refusal(
            Invalid(missing.kind, f"{missing.kind}_unknown", str(missing), {"key": missing.key})
        ) from None


def _refuse(submission: Submission, from_: NamedMailbox | None, now: datetime) -> None:
    faults = [
        *_size_faults(submission),
        *_sender_faults(submission.submitter, from_),
        *_time_faults(submission, now),
    ]
    if submission.on_doubt not in {"", *OnDoubt}:
        faults.append(Invalid("on_doubt", "on_doubt_unknown", "Choose retry or hold."))
    faults += _label_faults(submission)
    if faults:
        raise Refusal(*faults)


def _label_faults(submission: Submission) -> list[Invalid]:
    faults = []
    tags, metadata = submission.tags, submission.metadata
    if len(tags) > TAGS or not all(0 < len(tag) <= 100 and storable(tag) for tag in tags):
        faults.append(Invalid("tags", "tags", f"At most {TAGS} tags, each of 1 to 100 characters."))
    fits = len(metadata) <= 50 and len(str(metadata)) <= 10_000
    if not fits or not all(storable(text) for entry in metadata.items() for text in entry):
        faults.append(Invalid("metadata", "metadata", "At most 50 entries and 10,000 characters in all."))
    return faults


def _size_faults(submission: Submission) -> list[Invalid]:
    limit = settings.ENVIRONMENT.max_message_bytes
    size = len(submission.content.raw)
    if size <= limit:
        return []
    message = f"The message has {size} bytes; at most {limit} are taken."
    return [Invalid("content", "message_size", message, {"size": size, "limit": limit})]


def _sender_faults(key: ApiKey | None, from_: NamedMailbox | None) -> list[Invalid]:
    if key is None or not key.senders:
        return []
    if from_ is None:
        # It would leave as whatever connection carries it: a way around the key's limit.
        message = f"This key only sends as {', '.join(key.senders)}: name one of them as From."
        return [Invalid(_FROM, "sender_not_named", message)]
    allowed = {from_.mailbox.key, f"*@{from_.mailbox.domain_ascii}"}
    if allowed & set(key.senders):
        return []
    message = f"This key may not send as {from_.mailbox}."
    return [Invalid(_FROM, "sender_not_allowed", message, {"address": from_.mailbox.address})]


def _time_faults(submission: Submission, now: datetime) -> list[Invalid]:
    faults = []
    if submission.send_at is not None and submission.send_at > now + FARTHEST:
        faults.append(Invalid("send_at", "too_far", "At most one year ahead."))
    if submission.expires_at is not None and submission.expires_at <= max(submission.send_at or now, now):
        faults.append(Invalid("expires_at", "too_early", "It must lie in the future, and after send_at."))
    return faults


def _store(
    submission: Submission,
    stream: Stream | None,
    explicit: Connection | None,
    from_: NamedMailbox | None,
    now: datetime,
) -> Message:
    content, uid = submission.content, new_id()
    reverse_path = submission.envelope.reverse_path
    message = Message.objects.create(
        uid=uid,
        via=submission.via.value,
        submitter=submission.submitter,
        stream=stream,
        explicit=explicit,
        reverse_path="" if reverse_path is None else reverse_path.wire,
        header_from=None if from_ is None else {"email": from_.mailbox.wire, "name": from_.name},
        header_reply_to=printable(content.text("Reply-To") or ""),
        subject=printable(content.text("Subject") or "", 500),
        message_id=_given_message_id(content),
        received_by=ehlo_name(),
        on_doubt=submission.on_doubt,
        tags=list(submission.tags),
        metadata=dict(submission.metadata),
        size=len(content.raw),
        sha256=hashlib.sha256(content.raw).hexdigest(),
        accepted_at=now,
        resent_from=submission.resent_from,
    )
    Chunk.objects.bulk_create(
        Chunk(message=message, position=position, data=content.raw[start : start + CHUNK])
        for position, start in enumerate(range(0, len(content.raw), CHUNK))
    )
    return message


def _given_message_id(content: Content) -> str:
    return printable(content.value("Message-ID") or "", LINE_LIMIT).strip()


def _store_deliveries(
    submission: Submission, message: Message, decision: Decision, current: int, now: datetime
) -> None:
    state = DeliveryState.QUEUED if isinstance(decision, Route) else DeliveryState.HELD
    columns = decision_columns(decision)
    retry_age = RETRY_AGE if message.stream is None else message.stream.retry_age
    deliveries = Delivery.objects.bulk_create(
        Delivery(
            message=message,
            recipient=recipient.wire,
            state=state.value,
            route_epoch=current,
            next_attempt_at=max(now, submission.send_at or now),
            expires_at=submission.expires_at,
            retry_age=retry_age,
            **columns,
        )
        for recipient in submission.envelope.recipients
    )
    Event.objects.bulk_create(
        Event(
            delivery=delivery,
            at=now,
            state=state.value,
            detail=routing_detail("accepted_here", columns),
        )
        for delivery in deliveries
    )


def _request(
    stream: Stream | None,
    explicit: Connection | None,
    from_: NamedMailbox | None,
    reply_to: str | None,
    *,
    null: bool,
) -> Request:
    return Request(
        from_=from_,
        reply_to=reply_to,
        explicit=None if explicit is None else explicit.pk,
        explicit_name="" if explicit is None else explicit.name,
        stream=None if stream is None else stream.key,
        stream_connection=None if stream is None else stream.connection_id,
        stream_reply_to="" if stream is None else stream.reply_to,
        null_reverse_path=null,
    )


def named(stored: Mapping[str, str] | None) -> NamedMailbox | None:
    """A mailbox with its name, as the ledger keeps it: {"email", "name"}."""
    return None if stored is None else NamedMailbox(Mailbox.parse(stored["email"]), stored["name"])
