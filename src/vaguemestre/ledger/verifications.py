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
from vaguemestre.ledger.models import Connection, Verification
from vaguemestre.policy.health import unlocked

KEPT_UNSAVED = timedelta(days=1)


class VerificationKind(StrEnum):
    """What the list says of a connection's verification."""

    NEVER = "never"
    VERIFIED = "verified"
    FAILED = "failed"
    STALE = "stale"  # the settings changed since


@dataclass(frozen=True)
class VerificationState:
    """The state of a connection's latest verification."""

    state: VerificationKind
    at: datetime | None = None
    findings: tuple[dict[str, Any], ...] = ()


def keep(  # noqa: PLR0913  the columns of one row, each by its name
    fingerprint: str,
    connection: Connection | None,
    *,
    ok: bool,
    steps: Sequence[dict[str, Any]],
    findings: Sequence[dict[str, Any]],
    seen_address: str | None,
    now: datetime,
) -> None:
    """Keep what a verification found. Only a successful one of the saved settings unlocks the connection."""
    with writing():
        # As it is saved now: the settings may have changed while they were verified.
        saved = Connection.objects.filter(pk=connection.pk if connection else 0, fingerprint=fingerprint)
        Verification.objects.create(
            fingerprint=fingerprint,
            connection=saved.first(),
            at=now,
            ok=ok,
            steps=list(steps),
            findings=list(findings),
            seen_address=seen_address or "",
        )
        if connection is not None and seen_address:
            sightings.note(connection.pk, seen_address, now)
        Verification.objects.filter(connection=None, at__lt=now - KEPT_UNSAVED).delete()
        if ok:
            _unlock(saved)


def _unlock(saved: QuerySet[Connection]) -> None:
    for connection in saved.select_for_update(no_key=True):
        saved.filter(pk=connection.pk).update(**health_columns(unlocked(health_of(connection))))


def state_of(connection: Connection) -> VerificationState:
    """When a connection was last verified, how, and whether its settings changed since."""
    latest = Verification.objects.filter(connection=connection).order_by("-at", "-id").first()
    if latest is None:
        return VerificationState(VerificationKind.NEVER)
    if latest.fingerprint != connection.fingerprint:
        return VerificationState(VerificationKind.STALE, latest.at, tuple(latest.findings))
    kind = VerificationKind.VERIFIED if latest.ok else VerificationKind.FAILED
    return VerificationState(kind, latest.at, tuple(latest.findings))
