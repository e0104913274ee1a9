"""Answers given once are given again: the `Idempotency-Key` of a submitter, for 30 days.

The key's row is inserted first, in the same transaction as the work, so that of fifty concurrent requests one
works and the others wait for its commit, then repeat its answer (D1).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError

from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Idempotency

KEPT = timedelta(days=30)

type Answer = tuple[int, dict[str, Any]]


class KeyReused(Exception):
    """The key was used for another request."""


class InProgress(Exception):
    """The first request of that key has not ended."""


def once(
    submitter: str, key: str, digest: str, now: datetime, do: Callable[[], Answer]
) -> tuple[int, dict[str, Any], bool]:
    """Status, body and whether they are a repetition.

    Args:
        submitter: whose keys these are.
        now: when it is asked.
        key: what the submitter sent.
        digest: of the request's method, path and body.
        do: the work; its answer must be JSON. If it raises, nothing is remembered.

    Raises:
        KeyReused: the key came with another request before.
    """
    try:
        with writing():
            Idempotency.objects.filter(submitter=submitter, key=key, created_at__lt=now - KEPT).delete()
            row = Idempotency.objects.create(submitter=submitter, key=key, digest=digest, created_at=now)
            row.status, row.body = do()
            row.save()
            return row.status, dict(row.body or {}), False
    except IntegrityError:
        known = Idempotency.objects.filter(submitter=submitter, key=key).first()
        if known is None:
            raise  # another constraint: not ours to explain
        return _repeat(known, digest)


def _repeat(known: Idempotency, digest: str) -> tuple[int, dict[str, Any], bool]:
    if known.digest != digest:
        raise KeyReused
    if known.status == 0:
        raise InProgress
    return known.status, dict(known.body or {}), True


def forget(now: datetime) -> int:
    """Remove what is older than 30 days; the answer is how many."""
    return Idempotency.objects.filter(created_at__lt=now - KEPT).delete()[0]
