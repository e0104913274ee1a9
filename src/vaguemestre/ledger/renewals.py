"""Verifications that are to be renewed, and certificates that end soon: what courier and pages ask for.

What is told of a verification is told of the settings as they are now: one of other settings is stale, and
neither renewed nor an alarm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, OuterRef, QuerySet, Subquery

from vaguemestre.ledger import instance, vault
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.health import health_of
from vaguemestre.ledger.models import Connection, ConnectionNotice, Lane, Verification
from vaguemestre.ledger.typed import Draft, saved_draft
from vaguemestre.mail.validity import Validity
from vaguemestre.policy.expiry import AHEAD, Notice, Told, notice_of
from vaguemestre.policy.renewal import Verified, refuses, renewal_due


@dataclass(frozen=True)
class Due:
    """A verification to be made anew.

    Attributes:
        draft: what to try, exactly as deliveries sign in.
        connection: whose.
        failed: whether the one before did.
    """

    draft: Draft
    connection: Connection
    failed: bool


@dataclass(frozen=True)
class Ending:
    """A server's certificate that ends soon.

    Attributes:
        ends_at: when.
        notice: how near that is.
    """

    connection: Connection
    ends_at: datetime
    notice: Notice


def next_due(among: Collection[int], now: datetime) -> Due | None:
    """What is to be verified anew; None while nothing is, or the operator switched renewals off."""
    if not among or not instance.settings()["renew_verifications"]:
        return None
    latest = _latest(Connection.objects.filter(pk__in=among, active=True))
    for connection, found in latest:
        draft = _draft(connection) if renewal_due(_verified(connection, found), now) else None
        if draft is not None:
            return Due(draft, connection, failed=not found.ok)
    return None


def failed() -> list[Connection]:
    """Active connections whose latest verification, of the settings that they have, failed; by name."""
    return [
        connection for connection, found in _latest(Connection.objects.filter(active=True)) if not found.ok
    ]


def ending(now: datetime) -> list[Ending]:
    """The certificates of active connections that end soon, or have ended, the first to end first."""
    lanes = Lane.objects.filter(connection__active=True, certificate_ends_at__lte=now + AHEAD)
    found = lanes.select_related("connection").order_by("certificate_ends_at", "connection__name_key")
    return [ending for lane in found if (ending := _ending(lane, now)) is not None]


def take_notices(among: Collection[int], now: datetime) -> list[Ending]:
    """The ends that nobody was told of as near as they are now, for the courier that took them.

    Only of these connections: whoever serves a lane tells of its server.
    """
    near = [one for one in ending(now) if one.connection.pk in among]
    kept = ConnectionNotice.objects.in_bulk([one.connection.pk for one in near])
    found = [(one, _told(kept.get(one.connection.pk))) for one in near]
    if not any(_due(one, told, now) for one, told in found):
        return []
    with writing():
        taken = [(one, told) for one, told in found if _due(one, told, now) and _take(one, told, now)]
    return [one for one, told in taken if told is None or not told.covers(one.notice, now)]


def _ending(lane: Lane, now: datetime) -> Ending | None:
    if lane.certificate_ends_at is None:
        return None
    notice = notice_of(Validity(lane.certificate_ends_at, lane.certificate_starts_at), now)
    return None if notice is None else Ending(lane.connection, lane.certificate_ends_at, notice)


def _told(kept: ConnectionNotice | None) -> Told | None:
    if kept is None or kept.certificate_at is None:
        return None
    return Told(Notice(kept.certificate), kept.certificate_at)


def _due(one: Ending, told: Told | None, now: datetime) -> bool:
    return told is None or told.to_be_written(one.notice, now)


def _take(one: Ending, told: Told | None, now: datetime) -> bool:
    """Whether it was this courier that wrote it down."""
    ConnectionNotice.objects.bulk_create([ConnectionNotice(connection=one.connection)], ignore_conflicts=True)
    notice, at = ("", None) if told is None else (told.notice.value, told.at)
    same = ConnectionNotice.objects.filter(connection=one.connection, certificate=notice, certificate_at=at)
    return bool(same.update(certificate=one.notice.value, certificate_at=now))


def _latest(connections: QuerySet[Connection]) -> Iterator[tuple[Connection, Verification]]:
    """Each connection with its latest verification, where that is of the settings it has now."""
    newest = Verification.objects.filter(connection=OuterRef("pk")).order_by("-id").values("pk")[:1]
    latest = connections.annotate(latest=Subquery(newest)).values("latest")
    current = Verification.objects.filter(pk__in=latest, fingerprint=F("connection__fingerprint"))
    for found in current.select_related("connection").defer("steps").order_by("connection__name_key"):
        if found.connection is not None:
            yield found.connection, found


def _verified(connection: Connection, found: Verification) -> Verified:
    return Verified(
        at=found.at,
        ok=found.ok,
        refused=any(refuses(str(one.get("code")), one.get("phase")) for one in found.findings),
        active=connection.active,
        health=health_of(connection),
        share=_share(str(connection.uid)),
    )


def _share(uid: str) -> float:
    """The same for ever, and evenly spread over the connections."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") / 2**32


def _draft(connection: Connection) -> Draft | None:
    """None where its secret cannot be read: nothing is dialled without it, and its lane tells that."""
    try:
        draft = saved_draft(connection)
    except vault.Shut:
        return None
    return replace(draft, hop=replace(draft.hop, mechanism=connection.mechanism))
