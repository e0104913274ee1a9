"""The rows of accepted messages: four statements for any number of them.

They are made before the transaction begins, where that can be, and written as they lie there: what others
wait for is little more than the database's own work. Numbers are assigned within it, in the order given, so
that no statement has to tell them back and the deliveries of one connection are claimed in the order of their
acceptance.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.ledger import dsn_due, explanations, waits
from vaguemestre.ledger.binding import Binding
from vaguemestre.ledger.database import stored
from vaguemestre.ledger.draft import Draft
from vaguemestre.ledger.explanations import Explained
from vaguemestre.ledger.hops import ehlo_name
from vaguemestre.ledger.models import Parcel
from vaguemestre.ledger.opening import Opening
from vaguemestre.ledger.statements import Insertion
from vaguemestre.ledger.unsubscribing import CODE
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value

CHUNK = 262_144  # bytes; a message up to this size is one chunk

# Of each table first what most messages of a group have in common, then what each has for itself.
_MESSAGES = Insertion(
    "ledger_message",
    (
        "via", "submitter_id", "stream_id", "explicit_id", "ret", "envid", "header_from", "header_reply_to",
        "received_by", "added", "on_doubt", "tags", "metadata", "accepted_at", "resent_from_id",
    ),
    ("id", "uid", "reverse_path", "subject", "message_id", "size"),
)  # fmt: skip
_FIRST = (0,)  # the position of a message's only chunk, mostly
_CHUNKS = Insertion("ledger_chunk", ("position",), ("message_id", "data"))
_DELIVERIES = Insertion(
    "ledger_delivery",
    (
        "notify", "orcpt", "state", "connection_id", "route_epoch", "rank", "route", "next_attempt_at",
        "retry_age", "expires_at", "settled_at", "trouble",
    ),
    ("id", "message_id", "recipient", "explanation_id"),
    {
        "counted": "0", "spent": "0.0", "orphaned": "0", "doubts": "0", "doubt_reason": "''",
        "last_text": "''", "dsn_due": "false",
    },
)  # fmt: skip
_NOTIFY, _STATE = map(_DELIVERIES.common.index, ("notify", "state"))
_EVENTS = Insertion("ledger_event", ("at", "state", "detail"), ("delivery_id",))


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
        at: the time of acceptance.
        messages, chunks, deliveries: of each table the values of all rows, one row behind the other, without
            those that most rows have in common.
        message_alike, chunk_alike, delivery_alike, event_alike: of each row these.
        parcels: of each message the parcel that has its content.
        chunk_of, delivery_of: of each of them the position of its message.
        why: of each delivery the explanation.
        later: of deliveries that are to leave later their positions, and when.
    """

    at: object
    messages: list[object]
    message_alike: list[tuple[object, ...]]
    chunks: list[object]
    chunk_alike: list[tuple[object, ...]]
    deliveries: list[object]
    delivery_alike: list[tuple[object, ...]]
    event_alike: list[tuple[object, ...]]
    parcels: list[int | None]
    chunk_of: list[int]
    delivery_of: list[int]
    why: list[Explained]
    later: list[tuple[int, datetime]]


def rows_of(placed: Sequence[Placed], epoch: int, now: datetime) -> Rows:
    """The rows of messages that were placed under a routing epoch; needs neither lock nor database."""
    # Factories of lists would take three times as long.
    rows = Rows(stored(now), [], [], [], [], [], [], [], [], [], [], [], [])
    _add_messages(rows, placed)
    for position, one in enumerate(placed):
        if one.draft.submission.parcel is None:
            _add_chunks(rows, position, one.draft.submission.content.raw)
    _add_deliveries(rows, placed, epoch, now)
    return rows


def store(rows: Rows, opening: Opening) -> None:
    """Write the rows under the opening's numbers: of messages, contents, deliveries and first events."""
    own = iter(opening.messages)
    keys = [next(own) if parcel is None else -parcel for parcel in rows.parcels]
    numbers = opening.deliveries[: len(rows.delivery_of)]
    found = explanations.keep(rows.why, opening.epoch)
    rows.messages[0 :: _MESSAGES.width] = keys
    rows.chunks[0 :: _CHUNKS.width] = [keys[position] for position in rows.chunk_of]
    rows.deliveries[0 :: _DELIVERIES.width] = numbers
    rows.deliveries[1 :: _DELIVERIES.width] = [keys[position] for position in rows.delivery_of]
    rows.deliveries[3 :: _DELIVERIES.width] = [found[one.digest] for one in rows.why]
    with Binding() as bound:
        _MESSAGES.put(bound, rows.message_alike, rows.messages)
        _CHUNKS.put(bound, rows.chunk_alike, rows.chunks)
        _DELIVERIES.put(bound, rows.delivery_alike, rows.deliveries)
        _EVENTS.put(bound, rows.event_alike, numbers)
    if REFUSED.explained.digest in found:
        _report_refused(rows, numbers)
    if rows.later:
        waits.begin((numbers[position], at) for position, at in rows.later)
    arrived = [parcel for parcel in rows.parcels if parcel is not None]
    if arrived:
        Parcel.objects.filter(pk__in=arrived).delete()


def _report_refused(rows: Rows, numbers: Sequence[int]) -> None:
    ended = zip(numbers, rows.delivery_alike, strict=True)
    dsn_due.mark([(number, str(alike[_STATE]), str(alike[_NOTIFY])) for number, alike in ended])


def _add_messages(rows: Rows, placed: Sequence[Placed]) -> None:
    at, received_by = rows.at, ehlo_name()
    for one in placed:
        draft, submission = one.draft, one.draft.submission
        reverse_path, parcel = submission.envelope.reverse_path, submission.parcel
        rows.parcels.append(None if parcel is None else parcel.id)
        rows.messages += (
            None,
            draft.uid.replace("-", ""),  # both databases take it for an id
            "" if reverse_path is None else reverse_path.wire,
            draft.subject,
            draft.message_id,
            submission.size,
        )
        alike = (
            submission.via._value_,  # without a frame of Python
            None if submission.submitter is None else submission.submitter.id,
            one.stream_id,
            one.explicit_id,
            submission.ret,
            submission.envid,
            draft.header_from,
            draft.reply_to,
            received_by,
            one.added,
            submission.on_doubt,
            json.dumps(submission.tags) if submission.tags else "[]",
            json.dumps(dict(submission.metadata)) if submission.metadata else "{}",
            at,
            None if submission.resent_from is None else submission.resent_from.id,
        )
        rows.message_alike.append(alike)


def _add_chunks(rows: Rows, position: int, raw: bytes) -> None:
    if len(raw) <= CHUNK:
        rows.chunk_of.append(position)
        rows.chunk_alike.append(_FIRST)
        rows.chunks += (None, raw)
        return
    for number, start in enumerate(range(0, len(raw), CHUNK)):
        rows.chunk_of.append(position)
        rows.chunk_alike.append((number,))
        rows.chunks += (None, raw[start : start + CHUNK])


def _add_deliveries(rows: Rows, placed: Sequence[Placed], epoch: int, now: datetime) -> None:
    """Each delivery, and its first event."""
    at = rows.at
    for position, one in enumerate(placed):
        submission, later = one.draft.submission, one.draft.submission.send_at
        notify, orcpt = submission.notify, submission.orcpt
        due = at if later is None else stored(max(later, now))
        expires = None if submission.expires_at is None else stored(submission.expires_at)
        for recipient in submission.envelope.recipients:
            wire = recipient.wire
            refused = wire in one.spared
            answer = REFUSED if refused else one.answer
            # When it is due and ended, and why.
            begin, end, trouble = (None, at, _TROUBLE) if refused else (due, None, None)
            rows.deliveries += (None, None, wire, None)
            rows.delivery_alike.append((
                notify.get(wire, "") if notify else "", orcpt.get(wire, "") if orcpt else "",
                answer.state, answer.connection_id, epoch, one.rank, answer.route, begin, one.retry_age,
                expires, end, trouble,
            ))  # fmt: skip
            rows.event_alike.append((at, answer.state, answer.event))
            if later is not None and later > now:
                rows.later.append((len(rows.delivery_of), later))
            rows.delivery_of.append(position)
            rows.why.append(answer.explained)
