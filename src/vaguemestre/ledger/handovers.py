"""The same handed over again within a quarter of an hour is the same message.

A submitter that lost our 250 sends the same bytes again (RFC 5321 §4.2.5 leaves it no choice). The digest of
submitter, stream, envelope and content is kept with the message, in its transaction: of two that come at once
one is kept, and the other waits for its commit. A message that was refused or expired for every recipient is
over: the same bytes are then another one.

PostgreSQL finds a digest by a unique index, over which transactions wait for each other. On SQLite, where
they take turns anyway, each process recollects them: such an index costs a page for each message. What a
process committed itself it knows; it asks for others' where the last number is not its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter

from django.db import connection

from vaguemestre.ledger.binding import Binding, own
from vaguemestre.ledger.database import (
    chunked,
    execute,
    moment,
    on_postgresql,
    stored,
    writing,
)
from vaguemestre.ledger.models import Delivery, Handover
from vaguemestre.ledger.recollection import Recollection
from vaguemestre.ledger.statements import Insertion, tuples
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
_SINCE = "SELECT at, id, digest FROM ledger_handover WHERE id > %(last)s ORDER BY id"
# The oldest are the first.
_FORGET = """
DELETE FROM ledger_handover WHERE id IN (
    SELECT id FROM (SELECT id, at FROM ledger_handover ORDER BY id LIMIT %(piece)s) AS first
    WHERE at < %(before)s
)
"""
_HANDOVERS = Insertion("ledger_handover", ("at",), ("digest", "message_uid"))
_recollected = Recollection(KEPT)


def keep(given: Mapping[bytes, str], latest: int, now: datetime, at: object) -> Mapping[bytes, str]:
    """The message that each digest stands for: the one given with it, or the one that had it before.

    Args:
        given: the messages by their digests.
        latest: the number of the last handover, on SQLite (see `opening`).
        now: when.
        at: the same as `stored` gives it.
    """
    return _kept_by_index(given, now) if on_postgresql() else _kept_by_recollection(given, latest, now, at)


def forget_all() -> None:
    """Recollect nothing: another database stands behind the connection."""
    _recollected.forget()


# SQLite


def _kept_by_recollection(
    given: Mapping[bytes, str], latest: int, now: datetime, at: object
) -> Mapping[bytes, str]:
    if latest != _recollected.last:
        _recollect_others(latest)
    known = _known(given, now - KEPT)
    if known:
        standing = _standing(known.values())
        known = {digest: uid for digest, uid in known.items() if uid in standing}
    fresh = {digest: uid for digest, uid in given.items() if digest not in known} if known else given
    if fresh:
        _add(fresh, latest, now, at)
    return {**given, **known} if known else given


def _recollect_others(latest: int) -> None:
    """What other processes added; and this one, where a transaction does not end as it was begun here.

    A transaction asks once: what it added itself is recollected when it is committed.
    """
    if latest < _recollected.last:
        _recollected.forget()  # it was undone
    for at, rows in groupby(tuples(_SINCE, {"last": _recollected.last}), itemgetter(0)):
        _recollected.add([(number, digest) for _, number, digest in rows], moment(at))


def _add(fresh: Mapping[bytes, str], latest: int, now: datetime, at: object) -> None:
    values = [value for digest, uid in fresh.items() for value in (digest, uid.replace("-", ""))]
    with Binding() as bound:
        _HANDOVERS.put(bound, [(at,)] * len(fresh), values)
    # AUTOINCREMENT numbers them from there on.
    own().on_commit(partial(_recollected.add, [*enumerate(fresh, latest + 1)], now), robust=True)


def _known(given: Collection[bytes], since: datetime) -> dict[bytes, str]:
    """What was handed over before, by its latest row."""
    found = _recollected.find(given)
    if not found:
        return {}
    numbers = [number for places in found.values() for number in places]
    kept = {row.pk: row for row in Handover.objects.filter(pk__in=numbers, at__gte=since)}
    same = {
        digest: [kept[place] for place in places if place in kept and bytes(kept[place].digest) == digest]
        for digest, places in found.items()
    }
    return {digest: str(one[0].message_uid) for digest, one in same.items() if one}


# PostgreSQL


def _kept_by_index(given: Mapping[bytes, str], now: datetime) -> dict[bytes, str]:
    known: dict[bytes, str] = {}
    # In one order, or two processes that keep the same digests would wait for each other.
    for piece in chunked(sorted(given.items()), _PIECE):
        known |= _kept(piece, now)
    before = {uid for digest, uid in known.items() if uid != given[digest]}
    return known | _renewed(given, known, before - _standing(before), now) if before else known


def _renewed(
    given: Mapping[bytes, str], known: Mapping[bytes, str], failed: Collection[str], now: datetime
) -> dict[bytes, str]:
    """What failed is tried again: whoever sends the same bytes after our report means that."""
    renewed = {digest: given[digest] for digest, uid in known.items() if uid in failed}
    for digest, uid in renewed.items():
        Handover.objects.filter(digest=digest).update(message_uid=uid, at=now)
    return renewed


def _kept(piece: Sequence[tuple[bytes, str]], now: datetime) -> dict[bytes, str]:
    at, before = stored(now), stored(now - KEPT)
    values = [value for digest, uid in piece for value in (digest, uid.replace("-", ""), at)]
    statement = _KEEP.format(rows=", ".join(["(%s, %s, %s)"] * len(piece)))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, before, before])
        return {bytes(digest): str(uid) for digest, uid in cursor.fetchall()}


# Both


def _standing(messages: Collection[str]) -> set[str]:
    """Those that are under way, went out, or were stopped by a person: not the refused and the expired."""
    failed = [DeliveryState.REFUSED.value, DeliveryState.EXPIRED.value]
    found = Delivery.objects.filter(message__uid__in=messages).exclude(state__in=failed)
    return {str(uid) for uid in found.values_list("message__uid", flat=True)}


def forget(now: datetime) -> int:
    """Remove what counts no more, in small transactions; the answer is how many."""
    gone = 0
    while True:
        with writing():
            piece = execute(_FORGET, {"before": now - KEPT, "piece": _PIECE})
        gone += piece
        if piece < _PIECE:
            return gone
