"""Acceptance: validate, route, commit; only then does a door say 202 or 250 (L5).

`accept_all` is the one way in, for every door: any number of messages in one transaction of a handful of
statements. It refuses what cannot be (an unknown stream or connection, a sender that the key may not use, too
many bytes) and holds what merely has no route yet. The content is stored in chunks as it came; what leaves is
rendered from it later.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from vaguemestre.ledger import explanations, handovers, instance, routing, unsubscribing, wake
from vaguemestre.ledger.acceptance import CHUNK as CHUNK  # noqa: PLC0414  for those behind it
from vaguemestre.ledger.acceptance import REFUSED, Answer, Placed, Rows, rows_of, store
from vaguemestre.ledger.additions import NOTHING, additions
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.draft import Draft, draft, refuse_sender_of
from vaguemestre.ledger.draft import header_mailbox as header_mailbox  # noqa: PLC0414  for the doors
from vaguemestre.ledger.models import Connection, Delivery, Message, Parcel, Stream
from vaguemestre.ledger.opening import Opening, ask
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.routing import ANSWERS, Routing, StreamFacts
from vaguemestre.ledger.submission import Accepted as Accepted  # noqa: PLC0414  for the doors
from vaguemestre.ledger.submission import Submission as Submission  # noqa: PLC0414  for the doors
from vaguemestre.ledger.submission import Via as Via  # noqa: PLC0414  for the doors
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.priority import USUAL_RANK, Priority
from vaguemestre.mail.state import DeliveryState, common_state
from vaguemestre.mail.value import value
from vaguemestre.policy.routing import Configuration, ConnectionFacts, Decision, Request, Route, route

RETRY_AGE = 5 * 24 * 3600.0  # seconds of counted delays, where no stream says otherwise
_FROM = "from"


def accept(submission: Submission, now: datetime) -> Message:
    """Take one message over. When this returns, outside another transaction, it is committed and fsynced.

    Raises:
        Refusal: the faults, each at its field; nothing was stored.
    """
    (answer,) = accept_all([submission], now)
    if isinstance(answer, Refusal):
        raise answer
    return Message.objects.get(uid=answer.uid)


def accept_all(submissions: Sequence[Submission], now: datetime) -> list[Accepted | Refusal]:
    """Take messages over, in one transaction; the answers in their order.

    When this returns, outside another transaction, what was accepted is committed and fsynced. A refused one
    harms no other. If it raises, nothing was stored.
    """
    drafts = [_drafted(submission, now) for submission in submissions]
    answers = iter(commit([one for one in drafts if isinstance(one, Draft)], now))
    return [next(answers) if isinstance(one, Draft) else one for one in drafts]


def commit(drafts: Sequence[Draft], now: datetime) -> list[Accepted | Refusal]:
    """The part of `accept_all` that needs the database: all drafts in one transaction."""
    try:
        return _committed(drafts, now)
    except IntegrityError:
        # On PostgreSQL a stream may be deleted between the look at it and the commit: now it is unknown. An
        # explanation may be swept: now it is made again.
        explanations.forget()
        return _committed(drafts, now)


def place(drafts: Sequence[Draft], ahead: Arranged | None, now: datetime) -> list[str | Refusal]:
    """The same as a part of the transaction at hand, which is over if this raises; the messages' public ids.

    Args:
        drafts: what is taken over.
        ahead: what `arrange` made of the same drafts before the transaction; None where it was not asked.
        now: when.

    Raises:
        IntegrityError: here or at the commit, for the reasons that make `commit` try once more.
    """
    if not drafts:
        return []
    found, before = _kept(drafts, ahead, now)
    return [one if isinstance(one, Refusal) else before.get(one.draft.uid, one.draft.uid) for one in found]


def arrange(drafts: Sequence[Draft], now: datetime) -> Arranged | None:
    """What becomes of drafts under the last known configuration: worked out before others wait for it.

    None where the ledger has to be asked.
    """
    present = routing.latest()
    if present is None:
        return None
    submissions = [one.submission for one in drafts]
    if [one for one in submissions if one.parcel is not None or one.stream in present.sparing]:
        return None
    return _arranged(drafts, present, (), (), now)


def explain(stream: str | None, from_: str | None, connection: str | None) -> Decision:
    """What routing would answer, with every rule (`route explain`).

    Raises:
        Refusal: an unknown stream or connection, or no address.
    """
    present = routing.at(instance.epoch())
    found, explicit = _found(present, stream, connection)
    try:
        sender = NamedMailbox(Mailbox.parse(from_, _FROM)) if from_ else None
    except Invalid as fault:
        raise Refusal(fault) from None
    return route(request_of(found, explicit, sender, None, null=False), present.configuration)


def decide(message: Message, stream: Stream | None, configured: Configuration) -> Decision:
    """The route of a stored message under a configuration: the same question at every asking."""
    return route(asked(message, stream), configured)


def asked(message: Message, stream: Stream | None) -> Request:
    """What a stored message asks of routing."""
    from_, reply_to = named(message.header_from), message.header_reply_to or None
    return request_of(stream, message.explicit, from_, reply_to, null=not message.reverse_path)


def rank_of(stream: Stream | StreamFacts | None) -> int:
    """The place of a stream's messages in the queue's order."""
    return USUAL_RANK if stream is None else Priority(stream.priority).rank


def decision_columns(decision: Decision) -> dict[str, Any]:
    """What a delivery keeps of a decision; `reason` and `rules` by way of their `explanations`."""
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


def named(stored: Mapping[str, str] | None) -> NamedMailbox | None:
    """A mailbox with its name, as the ledger keeps it: {"email", "name"}."""
    return None if stored is None else NamedMailbox(Mailbox.parse(stored["email"]), stored["name"])


def _drafted(submission: Submission, now: datetime) -> Draft | Refusal:
    try:
        return draft(submission, now)
    except Refusal as refusal:
        return refusal


def _committed(drafts: Sequence[Draft], now: datetime) -> list[Accepted | Refusal]:
    if not drafts:
        return []
    ahead = arrange(drafts, now)
    with writing():
        found, before = _kept(drafts, ahead, now)
    return [one if isinstance(one, Refusal) else _told(one, before) for one in found]


@value
class Arranged:
    """What becomes of some drafts under one configuration.

    Attributes:
        epoch: the configuration's.
        found: of each its place, or why it is refused.
        placed: those that have a place.
        rows: theirs.
    """

    epoch: int
    found: Sequence[Placed | Refusal]
    placed: Sequence[Placed]
    rows: Rows


type _Before = Mapping[str, str]  # by its draft's id, the message that was handed over before


def _kept(
    drafts: Sequence[Draft], ahead: Arranged | None, now: datetime
) -> tuple[Sequence[Placed | Refusal], _Before]:
    """Store the drafts, as they were arranged if that still holds."""
    opening = _opening(drafts)
    if ahead is None or ahead.epoch != opening.epoch or opening.revoked:
        present = routing.at(opening.epoch)
        ahead = _arranged(drafts, present, opening.revoked, _gone(drafts), now)
    placed, rows = ahead.placed, ahead.rows
    before = _before(placed, opening, now, rows.at)
    if before:
        rows = rows_of([one for one in placed if one.draft.uid not in before], opening.epoch, now)
    if rows.parcels:
        store(rows, opening)
        wake.ring()
    return ahead.found, before


def _arranged(
    drafts: Sequence[Draft],
    present: Routing,
    revoked: Collection[int],
    gone: Collection[int],
    now: datetime,
) -> Arranged:
    found = [_placed(one, present, revoked, gone) for one in drafts]
    placed = [one for one in found if isinstance(one, Placed)]
    return Arranged(present.epoch, found, placed, rows_of(placed, present.epoch, now))


def _opening(drafts: Sequence[Draft]) -> Opening:
    submissions = [one.submission for one in drafts]
    return ask(
        {one.submitter.id for one in submissions if one.submitter is not None},
        len(drafts),  # those with a parcel have a number already, and leave one unused
        sum([len(one.envelope.recipients) for one in submissions]),
    )


def _gone(drafts: Sequence[Draft]) -> set[int]:
    """The parcels that were swept since they came."""
    parcels = {one.submission.parcel.id for one in drafts if one.submission.parcel is not None}
    if not parcels:
        return parcels
    kept = Parcel.objects.select_for_update().filter(pk__in=parcels)
    return parcels - set(kept.values_list("pk", flat=True))


def _placed(
    one: Draft, present: Routing, revoked: Collection[int], gone: Collection[int]
) -> Placed | Refusal:
    submission = one.submission
    if submission.submitter is not None and submission.submitter.id in revoked:
        return Refusal(Invalid("key", "key_revoked", "This key was revoked."))
    if submission.parcel is not None and submission.parcel.id in gone:
        message = "The content was not kept that long; hand it over again."
        return Refusal(Invalid("content", "content_gone", message))
    try:
        stream, explicit, answer = _routed(one, present)
        if explicit is not None:
            refuse_sender_of(present.connection(submission.connection or ""), one)
    except Refusal as refusal:
        return refusal
    if stream is None:
        return Placed(one, None, explicit, RETRY_AGE, USUAL_RANK, answer, NOTHING)
    added = additions(stream, submission.content)
    spared = unsubscribing.spared(stream.id, submission.envelope.recipients) if stream.unsubscribe else ()
    return Placed(one, stream.id, explicit, stream.retry_age, rank_of(stream), answer, added, spared)


type _Routed = tuple[StreamFacts | None, int | None, Answer]


def _routed(one: Draft, present: Routing) -> _Routed:
    """The stream, the connection asked for by name, and what routing answers.

    Worked out once for all that ask the same under one configuration.

    Raises:
        Refusal: an unknown stream or connection.
    """
    submission = one.submission
    null = submission.envelope.reverse_path is None
    asked = (submission.stream, submission.connection, one.header_from, one.reply_to, null)
    known: _Routed | None = present.answers.get(asked)
    if known is None:
        stream, explicit = _found(present, submission.stream, submission.connection)
        from_ = named(None if one.header_from is None else json.loads(one.header_from))
        request = request_of(stream, explicit, from_, one.reply_to or None, null=null)
        answer = _as_kept(route(request, present.configuration), present)
        known = stream, None if explicit is None else explicit.id, answer
        if len(present.answers) < ANSWERS:
            present.answers[asked] = known
    return known


def _as_kept(decision: Decision, present: Routing) -> Answer:
    columns = decision_columns(decision)
    carrier = columns["connection_id"]
    return Answer(
        state=(DeliveryState.HELD if carrier is None else DeliveryState.QUEUED).value,
        connection_id=carrier,
        connection=None if carrier is None else str(present.uids[carrier]),
        told=columns["reason"],
        route=None if columns["route"] is None else json.dumps(columns["route"]),
        explained=explanations.of(columns),
        event=json.dumps(routing_detail("accepted_here", columns)),
    )


def _before(placed: Sequence[Placed], opening: Opening, now: datetime, at: object) -> _Before:
    """What was handed over before: by its draft's id, the message that it is."""
    # Of the same in one group, the first.
    drafts = [one.draft for one in reversed(placed)]
    given = {digest: one.uid for one in drafts if (digest := one.submission.handover) is not None}
    if not given:
        return {}
    first = handovers.keep(given, opening.handover, now, at)
    if first is given and len(given) == len(drafts):
        return {}  # as mostly
    return {
        one.uid: first[digest]
        for one in drafts
        if (digest := one.submission.handover) is not None and first[digest] != one.uid
    }


def _told(one: Placed, before: _Before) -> Accepted:
    uid, answer = one.draft.uid, one.answer
    if uid in before:
        return _again(before[uid])
    recipients = tuple([recipient.wire for recipient in one.draft.submission.envelope.recipients])
    if one.spared and len(one.spared) == len(recipients):
        return Accepted(uid, REFUSED.state, answer.connection, REFUSED.told, recipients)
    return Accepted(uid, answer.state, answer.connection, answer.told, recipients, one.spared)


def _again(uid: str) -> Accepted:
    """A message that is here already, as it stands."""
    known = Delivery.objects.filter(message__uid=uid).select_related("connection", "explanation")
    found = list(known.order_by("pk"))
    carrier = found[0].connection
    return Accepted(
        uid=uid,
        state=common_state({delivery.state for delivery in found}),
        connection=None if carrier is None else str(carrier.uid),
        reason=found[0].reason,
        recipients=tuple(delivery.recipient for delivery in found),
        repeated=True,
    )


def _found(
    present: Routing, stream: str | None, connection: str | None
) -> tuple[StreamFacts | None, ConnectionFacts | None]:
    """The stream and the connection that are asked for by name."""
    asked = present.streams.get(stream) if stream else None
    explicit = present.connection(connection) if connection else None
    if stream and asked is None:
        raise _unknown("stream", stream)
    if connection and explicit is None:
        raise _unknown("connection", connection)
    return asked, explicit


def _unknown(kind: str, key: str) -> Refusal:
    return Refusal(Invalid(kind, f"{kind}_unknown", f"There is no {kind} {key}.", {"key": key}))


def request_of(
    stream: Stream | StreamFacts | None,
    explicit: Connection | ConnectionFacts | None,
    from_: NamedMailbox | None,
    reply_to: str | None,
    *,
    null: bool,
) -> Request:
    """What a message asks of routing."""
    return Request(
        from_=from_,
        reply_to=reply_to,
        explicit=None if explicit is None else explicit.id,
        explicit_name="" if explicit is None else explicit.name,
        stream=None if stream is None else stream.key,
        stream_connection=None if stream is None else stream.connection_id,
        stream_reply_to="" if stream is None else stream.reply_to,
        null_reverse_path=null,
    )
