"""The default sender's changes of hands, noted in the transaction of each, so that one can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from vaguemestre.ledger.models import Connection, DefaultChange


@contextmanager
def noted(actor: str, now: datetime) -> Iterator[None]:
    """Note whether the default is another one afterwards. Runs inside the transaction of the change."""
    before = _default()
    yield
    after = _default()
    if before != after:
        left = Connection.objects.filter(pk__in=[before], active=False, deleted_at=None)
        DefaultChange.objects.create(
            previous_id=before, chosen_id=after, deactivated=left.exists(), actor=actor, at=now
        )


def latest() -> DefaultChange | None:
    """The last one."""
    return DefaultChange.objects.select_related("previous", "chosen").order_by("-pk").first()


def _default() -> int | None:
    return Connection.objects.filter(is_default=True).values_list("pk", flat=True).first()
