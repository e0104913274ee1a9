"""A message's content: stored as it came, rendered as it leaves.

Rendering depends only on the message and its route, so that a retry is byte-identical (L6): the trace field
carries the time of acceptance, Date and Message-ID are added the same way each time. It concerns the header
section alone: a content of several chunks is never put together, it leaves as an `Outline` whose body is read
piece by piece.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from vaguemestre.ledger.accept import CHUNK, Via, named
from vaguemestre.ledger.additions import NOTHING, fields
from vaguemestre.ledger.claims import Claim
from vaguemestre.ledger.database import moment, on_postgresql
from vaguemestre.ledger.models import Chunk, Message
from vaguemestre.ledger.statements import tuples
from vaguemestre.mail.content import (
    HEADER_LIMIT,
    Content,
    Rendering,
    address_field,
    header_end,
    render_header,
)
from vaguemestre.mail.header import mailboxes_field, text_field
from vaguemestre.mail.mailbox import NamedMailbox

_TRUSTED = "trusted"  # by SMTP from a trusted network, without signing in
_PROTOCOLS = {
    Via.SMTP.value: "ESMTPA",  # RFC 3848
    _TRUSTED: "ESMTP",
    Via.API.value: "HTTP",
    Via.CLI.value: "LOCAL",
    Via.CONSOLE.value: "HTTP",
    Via.FORM.value: "HTTP",
    Via.REPORT.value: "LOCAL",
}

# What rendering asks of messages, with the first chunk of their contents.
_LEAVING = """
SELECT m.id, {uid}, CASE WHEN m.via = 'smtp' AND m.submitter_id IS NULL THEN 'trusted' ELSE m.via END,
  m.received_by, m.message_id, m.header_from, {second}, m.size, m.added, c.data
FROM {wanted} ledger_message m LEFT JOIN ledger_chunk c ON c.message_id = m.id AND c.position = 0
WHERE m.id = {number}
"""
_SQLITE = {
    "uid": "m.uid",
    "second": "substr(m.accepted_at, 1, 19)",
    "wanted": "json_each(%(wanted)s) AS wanted CROSS JOIN",
}
_POSTGRESQL = {
    "uid": "replace(m.uid::text, '-', '')",
    "second": "date_trunc('second', m.accepted_at)",
    "wanted": "(SELECT value::bigint FROM jsonb_array_elements_text(%(wanted)s::jsonb)) AS wanted(value),",
}
_MANY, _ONE = {"number": "wanted.value"}, {"number": "%(wanted)s", "wanted": ""}
_ROOM = "0" * 32  # for an identifier


class _Leaving(NamedTuple):
    """A row of `_LEAVING`.

    Attributes:
        uid: as hexadecimal digits.
        via: of the message, or `_TRUSTED`.
        second: of the acceptance, as the database gives a time.
        data: the first chunk; None where retention took it.
    """

    id: int
    uid: str
    via: str
    received_by: str
    message_id: str
    header_from: str | None
    second: object
    size: int
    added: str
    data: bytes | None


class ContentGone(Exception):
    """The content was removed at the end of its retention."""


@dataclass(frozen=True)
class Outline:
    """A content of several chunks, as it leaves.

    Attributes:
        head: the rendered header section, with the empty line that ends it.
        message_id: primary key of the message.
        start: where the body begins in the content as stored, in bytes.
        stored: bytes of the content as stored.
    """

    head: bytes
    message_id: int
    start: int
    stored: int

    @property
    def size(self) -> int:
        """Bytes that leave."""
        return len(self.head) + self.stored - self.start


type Departing = bytes | Outline | None


def content_of(message: Message) -> Content:
    """The content as accepted.

    Raises:
        ContentGone: retention removed it.
    """
    chunks = Chunk.objects.filter(message=message).order_by("position").values_list("data", flat=True)
    raw = b"".join(bytes(chunk) for chunk in chunks)
    if len(raw) != message.size:
        raise ContentGone
    return Content(raw)


def message_id(message: Message, route: Mapping[str, Any] | None) -> str:
    """The Message-ID that leaves by a route: as given, or made in the domain that recipients see in From."""
    if message.message_id:
        return message.message_id
    sender = _named(route["sender"]) if route else None
    return _made_id(message.uid.hex, sender or named(message.header_from), message.received_by)


def departing(claims: Iterable[Claim]) -> dict[str, Departing]:
    """What leaves for each claim, by its attempt: the bytes, or an outline; None where retention took it."""
    by_message: dict[int, list[Claim]] = {}
    for claim in claims:
        by_message.setdefault(claim.message_id, []).append(claim)
    numbers = [*by_message]
    alone = len(numbers) == 1
    found = tuples(_asking(alone=alone), {"wanted": numbers[0] if alone else json.dumps(numbers)})
    leaving: dict[str, Departing] = {}
    while found:
        row = _Leaving._make(found.pop())  # one goes as the other comes: together they are megabytes
        for claim in by_message[row.id]:
            leaving[claim.attempt] = _departing(row, claim)
    return leaving


@cache
def _asking(*, alone: bool) -> str:
    """For one message by itself, or for those of a list."""
    return _LEAVING.format(**(_POSTGRESQL if on_postgresql() else _SQLITE) | (_ONE if alone else _MANY))


def piece(message_id: int, position: int) -> bytes:
    """One chunk of a content.

    Raises:
        ContentGone: retention removed it.
    """
    found = Chunk.objects.filter(message=message_id, position=position).values_list("data", flat=True).first()
    if found is None:
        raise ContentGone
    return bytes(found)


def _departing(row: _Leaving, claim: Claim) -> Departing:
    if row.data is None:
        return None
    raw = bytes(row.data)
    end = header_end(raw)
    position = 0
    while end is None and len(raw) < min(row.size, HEADER_LIMIT + 2):
        position += 1
        raw += piece(row.id, position)
        end = header_end(raw)
    end = len(raw) if end is None else end
    head = render_header(raw[:end], _rendering(row, claim))
    if row.size <= CHUNK:
        return b"".join((head, b"\r\n", memoryview(raw)[end + 2 :]))
    return Outline(head + b"\r\n", row.id, min(end + 2, row.size), row.size)


def _rendering(row: _Leaving, claim: Claim) -> Rendering:
    wanted = claim.route["sender"]
    sender = _named(wanted)
    return Rendering(  # by place: a call by names takes twice as long
        b"" if sender is None else _from_field(wanted["email"], wanted["name"]),
        _reply_to_field(claim.route["reply_to"]),
        _received(row),
        row.message_id or _made_id(row.uid, sender or _stored(row.header_from), row.received_by),
        _date_field(row.second),
        _added(row.added, claim),
    )


def _added(kept: str, claim: Claim) -> tuple[tuple[str, str], ...]:
    """Of a content of its own, the one recipient's; else what all recipients get alike."""
    return () if kept == NOTHING or not claim.duties else fields(kept, claim.duties[0].id)


def _made_id(uid: str, sender: NamedMailbox | None, received_by: str) -> str:
    return f"<{uid}@{sender.mailbox.domain_ascii if sender else received_by}>"


def _named(stored: Mapping[str, str] | None) -> NamedMailbox | None:
    return None if stored is None else _parsed(stored["email"], stored["name"])


@lru_cache(maxsize=256)
def _parsed(email: str, name: str) -> NamedMailbox | None:
    return named({"email": email, "name": name})


@lru_cache(maxsize=256)
def _stored(header_from: str | None) -> NamedMailbox | None:
    return None if header_from is None else named(json.loads(header_from))


# Few routes are in use at once, and many messages are accepted in one second.


@lru_cache(maxsize=256)
def _from_field(email: str, name: str) -> bytes:
    sender = _parsed(email, name)
    return b"" if sender is None else mailboxes_field("From", [sender])


@lru_cache(maxsize=256)
def _reply_to_field(value: str | None) -> bytes:
    return b"" if value is None else address_field("Reply-To", value)


@lru_cache(maxsize=16)
def _date_field(second: object) -> bytes:
    return text_field("Date", format_datetime(moment(second)))


def _received(row: _Leaving) -> bytes:
    # All identifiers are of one length, and so are folded alike. A host beyond ASCII is encoded with what
    # follows it.
    around = _around(row.received_by, row.via, row.second)
    if len(around) == 2:
        return row.uid.encode().join(around)
    return _trace(row.received_by, row.via, row.second, row.uid)


@lru_cache(maxsize=64)
def _around(received_by: str, via: str, second: object) -> tuple[bytes, ...]:
    """What stands before an identifier in the trace field, and behind it."""
    return tuple(_trace(received_by, via, second, _ROOM).split(_ROOM.encode()))


def _trace(received_by: str, via: str, second: object, uid: str) -> bytes:
    """RFC 5321 §4.4: by whom, how, under which name, when. Not from whom: that is internal."""
    how, when = _PROTOCOLS[via], format_datetime(moment(second))
    return text_field("Received", f"by {received_by} (Vaguemestre) with {how} id {uid}; {when}")
