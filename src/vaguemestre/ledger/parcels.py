"""Large contents on their way in, stored piece by piece ahead of their message.

A piece is a chunk of the message that is to come, under the number that it will have: the parcel's, negated.
Acceptance takes the parcel over in its own transaction; what a submitter that went away leaves behind is
dropped, and after a crash swept.

Promises: the chunks of an accepted message are never dropped, whoever asks; a parcel that was dropped or
swept takes no further piece, and no message. Fails as the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vaguemestre.ledger import arrivals
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Chunk

KEPT = timedelta(hours=1)  # since its last piece


@dataclass(frozen=True)
class Parcel:
    """A content whose pieces are all stored.

    Attributes:
        id: its message's number, negated.
        size: bytes of all pieces together.
        sha256: of the whole content, in hexadecimal.
    """

    id: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Piece:
    """One chunk of a content.

    Attributes:
        position: from 0; all pieces but the last are `accept.CHUNK` bytes long.
        parcel: None opens one.
    """

    data: bytes = field(repr=False)
    position: int
    parcel: int | None


def add_all(pieces: Sequence[Piece], now: datetime) -> list[int | None]:
    """Store pieces in one transaction: the parcel of each, in order; None where it is no more."""
    with writing():
        return [_add(piece, now) for piece in pieces]


def _add(piece: Piece, now: datetime) -> int | None:
    parcel = piece.parcel
    if parcel is None:
        parcel = arrivals.Parcel.objects.create(at=now).pk
    elif not arrivals.Parcel.objects.filter(pk=parcel).update(at=now):
        return None
    Chunk.objects.create(message_id=-parcel, position=piece.position, data=piece.data)
    return parcel


def drop(parcels: Iterable[int]) -> int:
    """Forget parcels whose message does not come; the answer is how many there were."""
    with writing():
        # The row first: one that acceptance has taken over is not ours to empty.
        found = arrivals.Parcel.objects
        dropped = [parcel for parcel in parcels if found.filter(pk=parcel).delete()[0]]
        Chunk.objects.filter(message_id__in=[-parcel for parcel in dropped]).delete()
    return len(dropped)


def sweep(now: datetime) -> int:
    """Drop what has had no further piece for `KEPT`; the answer is how many."""
    left = arrivals.Parcel.objects.filter(at__lt=now - KEPT).values_list("pk", flat=True)
    return sum(drop([parcel]) for parcel in list(left))
