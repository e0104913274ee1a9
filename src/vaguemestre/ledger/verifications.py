"""Verifications: kept under the fingerprint of the values they tested, so that they count for no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet

from vaguemestre.ledger import sightings
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.health import health_columns, health_of
from vaguemestre.ledger.models import Connection, Lane, Verification
from vaguemestre.mail.validity import Validity
from vaguemestre.policy.health import unlocked

KEPT_UNSAVED = timedelta(days=1)
KEPT = timedelta(days=90)


class VerificationKind(StrEnum):
    """What the list says of a connection's verification."""

    NEVER = "never"
    VERIFIED = "verified"
    FAILED = "failed"
    STALE = "stale"  # the settings changed since


@dataclass(frozen=True)
class VerificationState:
    """The state of a connection's latest verification.

    Attributes:
        at: when it was; None for never.
        mechanism: how it signed in, with the settings as they are; "" if it did not.
        certificate_ends_at: as that one saw it; None where that does not matter.
    """

    state: VerificationKind
    at: datetime | None = None
    findings: tuple[dict[str, Any], ...] = ()
    mechanism: str = ""
    certificate_ends_at: datetime | None = None


@dataclass(frozen=True)
class Record:
    """What is kept of a verification.

    Attributes:
        host: that was tried.
        source_address: that was dialled from; "" where the system chose.
        seen_address: where the server saw us come from; "" if it did not say.
        mechanism: how it signed in; "" if it did not.
        validity: of the server's certificate; None where its end does not matter.
    """

    ok: bool
    steps: Sequence[dict[str, Any]] = ()
    findings: Sequence[dict[str, Any]] = ()
    host: str = ""
    source_address: str = ""
    seen_address: str = ""
    mechanism: str = ""
    validity: Validity | None = None


def keep(fingerprint: str, connection: Connection | None, record: Record, now: datetime) -> None:
    """Keep what a verification found. Only a successful one of the saved settings unlocks the connection, and
    fixes the mechanism that it signs in with from then on.
    """
    with writing():
        # As it is saved now: the settings may have changed while they were verified.
        saved = Connection.objects.filter(pk=connection.pk if connection else 0, fingerprint=fingerprint)
        Verification.objects.create(
            fingerprint=fingerprint,
            connection=saved.first(),
            at=now,
            ok=record.ok,
            steps=list(record.steps),
            findings=list(record.findings),
            seen_address=record.seen_address,
            mechanism=record.mechanism,
            certificate_ends_at=None if record.validity is None else record.validity.ends_at,
        )
        if connection is not None and record.seen_address and _the_same_way(connection, record):
            sightings.note(connection.pk, record.seen_address, now)
        _forget(connection, now)
        if record.ok:
            keep_validity(Lane.objects.filter(connection__in=saved), record.validity)
            _unlock(saved, record.mechanism)


def _the_same_way(connection: Connection, record: Record) -> bool:
    """Whether mail of the connection goes there too, and from there: another server sees another address."""
    way = {"host": record.host, "source_address": record.source_address}
    return Connection.objects.filter(pk=connection.pk, **way).exists()


def keep_validity(lanes: QuerySet[Lane], validity: Validity | None) -> None:
    """Remember that of the certificate that their server showed; None where its end does not matter."""
    ends_at, starts_at = (None, None) if validity is None else (validity.ends_at, validity.starts_at)
    lanes.update(certificate_ends_at=ends_at, certificate_starts_at=starts_at)


def _forget(connection: Connection | None, now: datetime) -> None:
    """What was never saved is forgotten after a day, what was renewed since then after three months."""
    Verification.objects.filter(connection=None, at__lt=now - KEPT_UNSAVED).delete()
    if connection is not None:
        Verification.objects.filter(connection=connection, at__lt=now - KEPT).delete()


def _unlock(saved: QuerySet[Connection], mechanism: str) -> None:
    for connection in saved.select_for_update(no_key=True):
        columns = health_columns(unlocked(health_of(connection)))
        saved.filter(pk=connection.pk).update(mechanism=mechanism, **columns)


def settle_mechanism(connection: Connection) -> None:
    """The mechanism that its settings, as they are now, were verified with; the caller saves it."""
    same = Verification.objects.filter(connection=connection, fingerprint=connection.fingerprint, ok=True)
    latest = same.order_by("-id").first()
    connection.mechanism = "" if latest is None else latest.mechanism


def state_of(connection: Connection) -> VerificationState:
    """When a connection was last verified, how, and whether its settings changed since."""
    latest = Verification.objects.filter(connection=connection).order_by("-id").first()
    if latest is None:
        return VerificationState(VerificationKind.NEVER)
    if latest.fingerprint != connection.fingerprint:
        return VerificationState(VerificationKind.STALE, latest.at, tuple(latest.findings))
    kind = VerificationKind.VERIFIED if latest.ok else VerificationKind.FAILED
    return VerificationState(
        kind, latest.at, tuple(latest.findings), latest.mechanism, latest.certificate_ends_at
    )
