"""The rows of accepted messages: four statements for any number of them.

Numbers are assigned here, in the order given, so that no statement has to tell them back and the deliveries
of one connection are claimed in the order of their acceptance.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from vaguemestre.ledger import dsn_due, explanations
from vaguemestre.ledger.database import insert, stored
from vaguemestre.ledger.draft import Draft
from vaguemestre.ledger.explanations import Explained
from vaguemestre.ledger.hops import ehlo_name
from vaguemestre.ledger.models import Parcel
from vaguemestre.ledger.opening import Opening
from vaguemestre.ledger.unsubscribing import CODE
from vaguemestre.mail.state import DeliveryState

CHUNK = 262_144  # bytes; a message up to this size is one chunk

_MESSAGE = (
    "id", "uid", "via", "submitter_id", "stream_id", "explicit_id", "reverse_path", "ret", "envid",
    "header_from", "header_reply_to", "subject", "message_id", "received_by", "added", "on_doubt", "tags",
    "metadata", "size", "sha256", "accepted_at", "resent_from_id",
)  # fmt: skip
_CHUNK = ("message_id", "position", "data")
_DELIVERY = (
    "id", "message_id", "recipient", "notify", "orcpt", "state", "connection_id", "route_epoch", "rank",
    "route", "explanation_id", "next_attempt_at", "retry_age", "expires_at", "settled_at", "trouble",
)  # fmt: skip
_STATE, _NOTIFY = _DELIVERY.index("state"), _DELIVERY.index("notify")
_NEW = {
    "counted": "0", "spent": "0.0", "orphaned": "0", "doubts": "0", "doubt_reason": "''", "last_text": "''",
    "dsn_due": "false",
}  # fmt: skip
_EVENT = ("delivery_id", "at", "state", "detail")


@dataclass(frozen=True, slots=True)
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
    connection: UUID | None
    told: dict[str, Any]
    route: str | None
    explained: Explained
    event: str


@dataclass(frozen=True, slots=True)
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


def store(placed: Sequence[Placed], opening: Opening, now: datetime) -> None:
    """Write the messages, their contents, deliveries and first events, under the opening's numbers."""
    at, received_by = stored(now), ehlo_name()
    own = iter(opening.messages)
    keyed = [(_number(one, own), one) for one in placed]
    kept = explanations.keep(_explained(placed), opening.epoch)
    due = _deliveries(keyed, iter(opening.deliveries), kept, opening.epoch, now)
    insert("ledger_message", _MESSAGE, [_message(key, one, received_by, at) for key, one in keyed])
    insert("ledger_chunk", _CHUNK, [chunk for key, one in keyed for chunk in _chunks(key, one)])
    insert("ledger_delivery", _DELIVERY, [delivery for delivery, _ in due], _NEW)
    insert("ledger_event", _EVENT, [(row[0], at, row[_STATE], event) for row, event in due])
    if any(one.spared for one in placed):
        dsn_due.mark((row[0], row[_STATE], row[_NOTIFY]) for row, _ in due)
    arrived = [-key for key, _ in keyed if key < 0]
    if arrived:
        Parcel.objects.filter(pk__in=arrived).delete()


def _number(one: Placed, own: Iterator[int]) -> int:
    parcel = one.draft.submission.parcel
    return next(own) if parcel is None else -parcel.id


def _message(key: int, one: Placed, received_by: str, at: object) -> tuple[object, ...]:
    draft, submission = one.draft, one.draft.submission
    reverse_path = submission.envelope.reverse_path
    return (
        key,
        draft.uid.hex,  # both databases take it for an id
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
        draft.sha256,
        at,
        None if submission.resent_from is None else submission.resent_from.id,
    )


def _chunks(key: int, one: Placed) -> Iterator[tuple[int, int, bytes]]:
    raw = one.draft.submission.content.raw
    if one.draft.submission.parcel is None:
        for position, start in enumerate(range(0, len(raw), CHUNK)):
            yield key, position, raw[start : start + CHUNK]


def _explained(placed: Iterable[Placed]) -> Iterator[Explained]:
    for one in placed:
        yield one.answer.explained
        if one.spared:
            yield REFUSED.explained


def _deliveries(
    keyed: Sequence[tuple[int, Placed]],
    own: Iterator[int],
    kept: Mapping[Explained, int],
    epoch: int,
    now: datetime,
) -> list[tuple[tuple[Any, ...], str]]:
    """Each delivery's row, and the detail of its first event."""
    rows: list[tuple[tuple[Any, ...], str]] = []
    at = stored(now)
    for key, one in keyed:
        submission = one.draft.submission
        later = submission.send_at is not None and submission.send_at > now
        expires = None if submission.expires_at is None else stored(submission.expires_at)
        due = stored(submission.send_at) if later else at
        queued = (due, one.retry_age, expires, None, None)
        refused = (None, one.retry_age, expires, at, _TROUBLE)
        for recipient in submission.envelope.recipients:
            wire = recipient.wire
            answer, times = (REFUSED, refused) if wire in one.spared else (one.answer, queued)
            asked = (submission.notify.get(wire, ""), submission.orcpt.get(wire, ""))
            way = (answer.route, kept[answer.explained])
            row = (next(own), key, wire, *asked, answer.state, answer.connection_id, epoch, one.rank, *way)
            rows.append(((*row, *times), answer.event))
    return rows
