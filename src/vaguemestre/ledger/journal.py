"""The journal of configuration changes: who, when, what; never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vaguemestre.ledger.models import Version


def record(  # noqa: PLR0913, PLR0917  the columns of one row
    kind: str, subject: str, action: str, actor: str, now: datetime, changes: Mapping[str, object]
) -> None:
    """Append one change, numbered from 1 for its subject. Runs inside the change's transaction."""
    number = Version.objects.filter(kind=kind, subject=subject).count() + 1
    Version.objects.create(
        kind=kind, subject=subject, number=number, action=action, actor=actor, at=now, changes=dict(changes)
    )


def before(kind: str, subject: str, at: datetime) -> Version | None:
    """The last change of a subject by that time."""
    return Version.objects.filter(kind=kind, subject=subject, at__lte=at).order_by("-pk").first()


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[object]]:
    """What differs: field -> [before, after]."""
    return {field: [before.get(field), value] for field, value in after.items() if before.get(field) != value}
