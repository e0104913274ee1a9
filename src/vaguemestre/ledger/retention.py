"""What is forgotten, and when: contents at the end of their stream's retention, what counts for a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from vaguemestre.ledger import allowance, explanations, form_submissions, handovers, idempotency, parcels
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Chunk, Message, Stream

RETENTION_DAYS = 30  # where a message has no stream
BATCH = 500


def sweep(now: datetime) -> int:
    """Forget what is due, in small transactions; the answer is how many contents went."""
    idempotency.forget(now)
    allowance.forget(now)
    handovers.forget(now)
    parcels.sweep(now)
    form_submissions.sweep(now)
    explanations.sweep()
    gone = _sweep_contents(None, RETENTION_DAYS, now)
    for stream in Stream.objects.all():
        gone += _sweep_contents(stream, stream.retention_days, now)
    return gone


def _sweep_contents(stream: Stream | None, days: int, now: datetime) -> int:
    """Contents of messages whose every delivery has ended; what became of them stays."""
    old = Message.objects.filter(stream=stream, accepted_at__lt=now - timedelta(days=days), chunk__position=0)
    ended = old.exclude(delivery__state__in=["queued", "claimed", "held", "in_doubt"])
    ids = list(ended.values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    with writing():
        Chunk.objects.filter(message_id__in=ids).delete()
    return len(ids)
