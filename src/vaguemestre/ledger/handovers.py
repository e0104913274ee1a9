"""The same handed over again within a quarter of an hour is the same message.

A submitter that lost our 250 sends the same bytes again (RFC 5321 §4.2.5 leaves it no choice). The digest of
submitter, stream, envelope and content is kept with the message, in its transaction: of two that come at once
one is kept, and the other waits for its commit. A message that was refused or expired for every recipient is
over: the same bytes are then another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from vaguemestre.ledger.database import chunked, execute, stored, writing
from vaguemestre.ledger.models import Delivery, Handover
from vaguemestre.mail.state import DeliveryState

KEPT = timedelta(minutes=15)
_PIECE = 1_000  # rows of one statement

_KEEP = """
INSERT INTO ledger_handover AS known (digest, message_uid, at) VALUES {rows}
ON CONFLICT (digest) DO UPDATE SET
    message_uid = CASE WHEN known.at < %s THEN excluded.message_uid ELSE known.message_uid END,
    at = CASE WHEN known.at < %s THEN excluded.at ELSE known.at END
RETURNING digest, message_uid
"""
_FORGET = """
DELETE FROM ledger_handover WHERE id IN (
    SELECT id FROM ledger_handover WHERE at < %(before)s ORDER BY at LIMIT %(piece)s
)
"""


def keep(given: Mapping[bytes, UUID], now: datetime) -> dict[bytes, UUID]:
    """The message that each digest stands for: the one given with it, or the one that had it before."""
    known: dict[bytes, UUID] = {}
    # In one order, or two processes that keep the same digests would wait for each other.
    for piece in chunked(sorted(given.items()), _PIECE):
        known |= _kept(piece, now)
    before = {uid for digest, uid in known.items() if uid != given[digest]}
    return known | _renewed(given, known, before - _standing(before), now) if before else known


def _standing(messages: Collection[UUID]) -> set[UUID]:
    """Those that are under way, went out, or were stopped by a person: not the refused and the expired."""
    failed = [DeliveryState.REFUSED.value, DeliveryState.EXPIRED.value]
    found = Delivery.objects.filter(message__uid__in=messages).exclude(state__in=failed)
    return set(found.values_list("message__uid", flat=True))


def _renewed(
    given: Mapping[bytes, UUID], known: Mapping[bytes, UUID], failed: Collection[UUID], now: datetime
) -> dict[bytes, UUID]:
    """What failed is tried again: whoever sends the same bytes after our report means that."""
    renewed = {digest: given[digest] for digest, uid in known.items() if uid in failed}
    for digest, uid in renewed.items():
        Handover.objects.filter(digest=digest).update(message_uid=uid, at=now)
    return renewed


def _kept(piece: Sequence[tuple[bytes, UUID]], now: datetime) -> dict[bytes, UUID]:
    at, before = stored(now), stored(now - KEPT)
    values = [value for digest, uid in piece for value in (digest, uid.hex, at)]
    statement = _KEEP.format(rows=", ".join(["(%s, %s, %s)"] * len(piece)))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, before, before])
        return {bytes(digest): UUID(str(uid)) for digest, uid in cursor.fetchall()}


def forget(now: datetime) -> int:
    """Remove what counts no more, in small transactions; the answer is how many."""
    gone = 0
    while True:
        with writing():
            piece = execute(_FORGET, {"before": now - KEPT, "piece": _PIECE})
        gone += piece
        if piece < _PIECE:
            return gone
