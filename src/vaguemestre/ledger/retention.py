"""What is forgotten, and when: contents at the end of their stream's retention, what counts for a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from vaguemestre.ledger import allowance, explanations, form_limits, handovers, idempotency, parcels
from vaguemestre.ledger.database import by_index, writing
from vaguemestre.ledger.models import Chunk, Form, FormSubmission, Message, Stream

RETENTION_DAYS = 30  # where a message has no stream
BATCH = 500  # contents of one transaction
BATCH_BYTES = 67_108_864  # of contents of one transaction, with every writer waiting


def sweep(now: datetime) -> int:
    """Forget what is due, of each stream's contents one transaction; the answer is how many contents went."""
    idempotency.forget(now)
    allowance.forget(now)
    handovers.forget(now)
    parcels.sweep(now)
    form_limits.forget(now)
    _sweep_submissions(now)
    explanations.sweep()
    gone = _sweep_contents(None, RETENTION_DAYS, now)
    for stream in Stream.objects.all():
        gone += _sweep_contents(stream, stream.retention_days, now)
    return gone


def _sweep_contents(stream: Stream | None, days: int, now: datetime) -> int:
    """Contents of messages whose every delivery has ended, the oldest first; what became of them stays."""
    old = Message.objects.filter(accepted_at__lt=now - timedelta(days=days))
    latest = old.order_by("-accepted_at", "-pk").values_list("pk", flat=True).first()
    if latest is None:
        return 0
    # From the contents that are left, and not from the messages: of those there are ever more.
    left = Chunk.objects.filter(position=0, message_id__lte=latest, message__stream=stream)
    ended = left.exclude(message__delivery__state__in=["queued", "claimed", "held", "in_doubt"])
    due = ended.filter(message__accepted_at__lt=now - timedelta(days=days)).order_by("message_id")
    with by_index():
        ids = _at_once(due.values_list("message_id", "message__size")[:BATCH])
    if not ids:
        return 0
    with writing():
        Chunk.objects.filter(message_id__in=ids).delete()
    return len(ids)


def _sweep_submissions(now: datetime) -> None:
    """What visitors sent, where it is older than its form keeps it."""
    for form in Form.objects.all():
        old = FormSubmission.objects.filter(form=form, at__lt=now - timedelta(days=form.retention_days))
        ids = list(old.values_list("pk", flat=True)[:BATCH])
        if ids:
            with writing():
                FormSubmission.objects.filter(pk__in=ids).delete()


def _at_once(found: Iterable[tuple[int, int]]) -> list[int]:
    """The messages whose contents go in one transaction, of some with their sizes; one at least."""
    ids: list[int] = []
    total = 0
    for message, size in found:
        total += size
        if ids and total > BATCH_BYTES:
            break
        ids.append(message)
    return ids
