"""Since when deliveries wait, where that is not since their message was accepted: see `policy.lateness`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from vaguemestre.ledger.models import WaitStart


def begin(starts: Iterable[tuple[int, datetime]]) -> None:
    """Have deliveries wait since then and no longer; part of the transaction that lets them go."""
    WaitStart.objects.bulk_create(
        [WaitStart(delivery_id=delivery, since=since) for delivery, since in starts],
        update_conflicts=True,
        unique_fields=["delivery"],
        update_fields=["since"],
    )
