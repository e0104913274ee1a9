"""What follows a delivery in doubt (L6): tried again by itself once, or left to a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from vaguemestre.ledger.models import Message
from vaguemestre.mail.state import OnDoubt


def on_doubt(message: Message) -> OnDoubt:
    """`on_doubt` of the message, else of its stream, else retry."""
    if message.on_doubt:
        return OnDoubt(message.on_doubt)
    return OnDoubt.RETRY if message.stream is None else OnDoubt(message.stream.on_doubt)


def after_doubt(policy: OnDoubt, doubts: int, now: datetime) -> datetime | None:
    """When a delivery is tried again by itself after so many doubts; None leaves it to a person."""
    if policy is OnDoubt.HOLD or doubts > 1:
        return None
    return now + timedelta(seconds=settings.ENVIRONMENT.doubt_delay)
