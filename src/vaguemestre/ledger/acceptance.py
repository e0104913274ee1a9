"""The rows of accepted messages: four statements for any number of them.

They are made before the transaction begins, where that can be, and written as they lie there: what others
wait for is little more than the database's own work. Numbers are assigned within it, in the order given, so
that no statement has to tell them back and the deliveries of one connection are claimed in the order of their
acceptance.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from vaguemestre.ledger import dsn_due, explanations
from vaguemestre.ledger.database import stored
from vaguemestre.ledger.draft import Draft
from vaguemestre.ledger.explanations import Explained
from vaguemestre.ledger.hops import ehlo_name
from vaguemestre.ledger.models import Parcel
from vaguemestre.ledger.opening import Opening
from vaguemestre.ledger.statements import insert_flat
from vaguemestre.ledger.unsubscribing import CODE
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value

CHUNK = 262_144  # bytes; a message up to this size is one chunk

_MESSAGE = (
    "id", "uid", "via", "submitter_id", "stream_id", "explicit_id", "reverse_path", "ret", "envid",
    "header_from", "header_reply_to", "subject", "message_id", "received_by", "added", "on_doubt", "tags",
    "metadata", "size", "accepted_at", "resent_from_id",
)  # fmt: skip
_CHUNK = ("message_id", "position", "data")
_DELIVERY = (
    "id", "message_id", "recipient", "notify", "orcpt", "state", "connection_id", "route_epoch", "rank",
    "route", "explanation_id", "next_attempt_at", "retry_age", "expires_at", "settled_at", "trouble",
)  # fmt: skip
_STATE, _NOTIFY, _EXPLANATION = map(_DELIVERY.index, ("state", "notify", "explanation_id"))
_NEW = {
    "counted": "0", "spent": "0.0", "orphaned": "0", "doubts": "0", "doubt_reason": "''", "last_text": "''",
    "dsn_due": "false",
}  # fmt: skip
_EVENT = ("delivery_id", "at", "state", "detail")


@value
class Answer:
    """What routing answered, made once for all that ask the same.

    Attributes:
        connection: public id of the one that carries it.
        told: the reason, for the submitter.
        route, event: as a delivery and its first event keep them, JSON.
        explained: the reason and the rules, as they are kept.
    """

    state: str
    connection_id: int | None
    connection: str | None
    told: dict[str, Any]
    route: str | None
    explained: Explained
    event: str


@value
class Placed:
    """A message with its place in the queue, ready to be stored.

    Attributes:
        rank: of its stream's priority.
        added: what its stream adds when it leaves, JSON (see `additions`).
        spared: the recipients that unsubscribed from it; to them it is refused.
    """

    draft: Draft
    stream_id: int | None
    explicit_id: int | None
    retry_age: float
    rank: int
    answer: Answer
    added: str
    spared: Collection[str] = ()


_UNSUBSCRIBED = {"code": CODE, "facts": {}}
# To a recipient that unsubscribed: nothing is tried.
REFUSED = Answer(
    state=DeliveryState.REFUSED.value,
    connection_id=None,
    connection=None,
    told=_UNSUBSCRIBED,
    route=None,
    explained=explanations.of({"reason": _UNSUBSCRIBED, "rules": []}),
    event=json.dumps({"code": CODE}),
)
_TROUBLE = json.dumps({"phase": None, "cause": CODE, "row": None, "why": CODE, "facts": {}})


@dataclass(slots=True)
class Rows:
    """What is written of some messages, but for the numbers that only the transaction knows.

    Attributes:
        messages, chunks, deliveries, events: of each table the values of all rows, one row behind the other.
        parcels: of each message the parcel that has its content.
        chunk_of, delivery_of: of each of them the position of its message.
        why: of each delivery the explanation.
    """

    messages: list[object] = field(default_factory=list)
    chunks: list[object] = field(default_factory=list)
    deliveries: list[object] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    parcels: list[int | None] = field(default_factory=list)
    chunk_of: list[int] = field(default_factory=list)
    delivery_of: list[int] = field(default_factory=list)
    why: list[Explained] = field(default_factory=list)


def rows_of(placed: Sequence[Placed], epoch: int, now: datetime) -> Rows:
    """The rows of messages that were placed under a routing epoch; needs neither lock nor database."""
    rows = Rows()
    at, received_by = stored(now), ehlo_name()
    for position, one in enumerate(placed):
        parcel = one.draft.submission.parcel
        rows.parcels.append(None if parcel is None else parcel.id)
        rows.messages += _message(one, received_by, at)
        if parcel is None:
            _add_chunks(rows, position, one.draft.submission.content.raw)
        _add_deliveries(rows, position, one, epoch, now)
    return rows


def store(rows: Rows, opening: Opening) -> None:
    """Write the rows under the opening's numbers: of messages, contents, deliveries and first events."""
    own = iter(opening.messages)
    keys = [next(own) if parcel is None else -parcel for parcel in rows.parcels]
    numbers = opening.deliveries[: len(rows.delivery_of)]
    kept = explanations.keep({one.digest: one for one in rows.why}.values(), opening.epoch)
    found = {one.digest: key for one, key in kept.items()}
    rows.messages[0 :: len(_MESSAGE)] = keys
    rows.chunks[0 :: len(_CHUNK)] = [keys[position] for position in rows.chunk_of]
    rows.deliveries[0 :: len(_DELIVERY)] = numbers
    rows.deliveries[1 :: len(_DELIVERY)] = [keys[position] for position in rows.delivery_of]
    rows.deliveries[_EXPLANATION :: len(_DELIVERY)] = [found[one.digest] for one in rows.why]
    rows.events[0 :: len(_EVENT)] = numbers
    insert_flat("ledger_message", _MESSAGE, rows.messages)
    insert_flat("ledger_chunk", _CHUNK, rows.chunks)
    insert_flat("ledger_delivery", _DELIVERY, rows.deliveries, _NEW)
    insert_flat("ledger_event", _EVENT, rows.events)
    if REFUSED.explained.digest in found:
        _report_refused(rows)
    arrived = [parcel for parcel in rows.parcels if parcel is not None]
    if arrived:
        Parcel.objects.filter(pk__in=arrived).delete()


def _report_refused(rows: Rows) -> None:
    columns = [rows.deliveries[column :: len(_DELIVERY)] for column in (0, _STATE, _NOTIFY)]
    dsn_due.mark(cast("Iterable[tuple[int, str, str]]", zip(*columns, strict=True)))


def _message(one: Placed, received_by: str, at: object) -> tuple[object, ...]:
    draft, submission = one.draft, one.draft.submission
    reverse_path = submission.envelope.reverse_path
    return (
        None,
        draft.uid.replace("-", ""),  # both databases take it for an id
        submission.via.value,
        None if submission.submitter is None else submission.submitter.id,
        one.stream_id,
        one.explicit_id,
        "" if reverse_path is None else reverse_path.wire,
        submission.ret,
        submission.envid,
        draft.header_from,
        draft.reply_to,
        draft.subject,
        draft.message_id,
        received_by,
        one.added,
        submission.on_doubt,
        json.dumps(submission.tags) if submission.tags else "[]",
        json.dumps(dict(submission.metadata)) if submission.metadata else "{}",
        submission.size,
        at,
        None if submission.resent_from is None else submission.resent_from.id,
    )


def _add_chunks(rows: Rows, position: int, raw: bytes) -> None:
    if len(raw) <= CHUNK:
        rows.chunk_of.append(position)
        rows.chunks += (None, 0, raw)
        return
    for number, start in enumerate(range(0, len(raw), CHUNK)):
        rows.chunk_of.append(position)
        rows.chunks += (None, number, raw[start : start + CHUNK])


def _add_deliveries(rows: Rows, position: int, one: Placed, epoch: int, now: datetime) -> None:
    """Each delivery, and its first event."""
    submission, at = one.draft.submission, stored(now)
    due = at if submission.send_at is None else stored(max(submission.send_at, now))
    expires = None if submission.expires_at is None else stored(submission.expires_at)
    for recipient in submission.envelope.recipients:
        wire = recipient.wire
        refused = wire in one.spared
        answer = REFUSED if refused else one.answer
        times = (
            (None, one.retry_age, expires, at, _TROUBLE)
            if refused
            else (due, one.retry_age, expires, None, None)
        )
        rows.deliveries += (
            None, None, wire, submission.notify.get(wire, ""), submission.orcpt.get(wire, ""), answer.state,
            answer.connection_id, epoch, one.rank, answer.route, None, *times,
        )  # fmt: skip
        rows.events += (None, at, answer.state, answer.event)
        rows.delivery_of.append(position)
        rows.why.append(answer.explained)
