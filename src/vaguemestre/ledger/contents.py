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
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from vaguemestre.ledger.accept import CHUNK, Via, named
from vaguemestre.ledger.additions import NOTHING, fields
from vaguemestre.ledger.claims import Claim
from vaguemestre.ledger.database import as_json, moment, recordset, rows
from vaguemestre.ledger.models import Chunk, Message
from vaguemestre.mail.content import HEADER_LIMIT, Content, Rendering, header_end, render_header
from vaguemestre.mail.mailbox import NamedMailbox

_PROTOCOLS = {
    Via.SMTP.value: "ESMTPA",
    Via.API.value: "HTTP",
    Via.CLI.value: "LOCAL",
    Via.CONSOLE.value: "HTTP",
    Via.FORM.value: "HTTP",
    Via.REPORT.value: "LOCAL",
}

# What rendering asks of messages, with the first chunk of their contents.
_LEAVING = """
SELECT m.id, m.uid, m.via, m.received_by, m.message_id, m.header_from, m.accepted_at, m.size, m.added, c.data
FROM {wanted}
JOIN ledger_message m ON m.id = wanted.message
LEFT JOIN ledger_chunk c ON c.message_id = m.id AND c.position = 0
"""


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
    return _made_id(message.uid, sender or named(message.header_from), message.received_by)


def departing(claims: Iterable[Claim]) -> dict[UUID, Departing]:
    """What leaves for each claim, by its attempt: the bytes, or an outline; None where retention took it."""
    by_message: dict[int, list[Claim]] = {}
    for claim in claims:
        by_message.setdefault(claim.message_id, []).append(claim)
    wanted = as_json({"message": key} for key in by_message)
    found = rows(_LEAVING.format(wanted=recordset("wanted", message="bigint")), {"wanted": wanted})
    leaving: dict[UUID, Departing] = {}
    while found:
        row = found.pop()  # one goes as the other comes: together they are megabytes
        for claim in by_message[row["id"]]:
            leaving[claim.attempt] = _departing(row, claim)
    return leaving


def piece(message_id: int, position: int) -> bytes:
    """One chunk of a content.

    Raises:
        ContentGone: retention removed it.
    """
    found = Chunk.objects.filter(message=message_id, position=position).values_list("data", flat=True).first()
    if found is None:
        raise ContentGone
    return bytes(found)


def _departing(row: Mapping[str, Any], claim: Claim) -> Departing:
    if row["data"] is None:
        return None
    raw = bytes(row["data"])
    end = header_end(raw)
    position = 0
    while end is None and len(raw) < min(row["size"], HEADER_LIMIT + 2):
        position += 1
        raw += piece(row["id"], position)
        end = header_end(raw)
    end = len(raw) if end is None else end
    head = render_header(raw[:end], _rendering(row, claim)) + b"\r\n"
    if row["size"] <= CHUNK:
        return head + raw[end + 2 :]
    return Outline(head, row["id"], min(end + 2, row["size"]), row["size"])


def _rendering(row: Mapping[str, Any], claim: Claim) -> Rendering:
    route = claim.route
    uid, at = UUID(str(row["uid"])), _date(moment(row["accepted_at"]))
    sender = _named(route["sender"])
    given = row["message_id"]
    return Rendering(
        sender=sender,
        reply_to=route["reply_to"],
        # RFC 5321 §4.4: by whom, how, under which name, when. Not from whom: that is internal.
        received=f"by {row['received_by']} (Vaguemestre) with {_PROTOCOLS[row['via']]} id {uid.hex}; {at}",
        message_id=given or _made_id(uid, sender or _stored(row["header_from"]), row["received_by"]),
        date=at,
        added=_added(row["added"], claim),
    )


def _added(kept: str, claim: Claim) -> tuple[tuple[str, str], ...]:
    """Of a content of its own, the one recipient's; else what all recipients get alike."""
    return () if kept == NOTHING or not claim.duties else fields(kept, claim.duties[0].id)


def _made_id(uid: UUID, sender: NamedMailbox | None, received_by: str) -> str:
    return f"<{uid.hex}@{sender.mailbox.domain_ascii if sender else received_by}>"


def _named(stored: Mapping[str, str] | None) -> NamedMailbox | None:
    return None if stored is None else _parsed(stored["email"], stored["name"])


@lru_cache(maxsize=256)
def _parsed(email: str, name: str) -> NamedMailbox | None:
    return named({"email": email, "name": name})


@lru_cache(maxsize=256)
def _stored(header_from: str | None) -> NamedMailbox | None:
    return None if header_from is None else named(json.loads(header_from))


def _date(at: datetime) -> str:
    return _date_of(at.replace(microsecond=0))


@lru_cache(maxsize=16)
def _date_of(second: datetime) -> str:
    """Many are accepted in one second."""
    return format_datetime(second)
