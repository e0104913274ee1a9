"""What an operator is told without mail: the kinds of alert, and when a connection's health is worth one.

A throttle is ordinary and passes; it is told once it is known to last over five minutes, which the end that
it is given tells at once. A certificate that cannot be trusted is told at once, since it never passes by
itself. Recovery is told to who was told of the trouble. Pure; nothing fails here.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState
from vaguemestre.policy.unopened import ABOUT_ENCRYPTION

PATIENCE = timedelta(minutes=5)


class AlertKind(StrEnum):
    """What it is about."""

    CONNECTION_LOCKED = "connection_locked"
    CONNECTION_THROTTLED = "connection_throttled"
    CONNECTION_RECOVERED = "connection_recovered"
    CERTIFICATE_TROUBLE = "certificate_trouble"
    BACKUP_IN_USE = "backup_in_use"
    MESSAGE_HELD = "message_held"
    IN_DOUBT_WAITS = "in_doubt_waits_for_person"
    VERIFICATION_FAILED = "verification_failed"
    CERTIFICATE_EXPIRES = "certificate_expires"
    QUOTA_NEAR = "quota_near"
    ADDRESS_UNLISTED = "source_address_unlisted"
    TEMPLATE_UNUSABLE = "template_unusable"
    SENDING_PAUSED = "sending_paused"


# Of a connection's health; one that follows another makes it old.
TROUBLES = frozenset(
    {
        AlertKind.CONNECTION_LOCKED,
        AlertKind.CONNECTION_THROTTLED,
        AlertKind.CERTIFICATE_TROUBLE,
        AlertKind.VERIFICATION_FAILED,
    }
)


def alert_of(before: HealthState, after: HealthState) -> AlertKind | None:
    """What a change of health is worth telling; None for nothing."""
    told = trouble_of(before)
    if after.state is Health.READY:
        return None if told is None else AlertKind.CONNECTION_RECOVERED
    kind = trouble_of(after)
    return None if kind == told else kind


def trouble_of(state: HealthState) -> AlertKind | None:
    """The trouble that a connection of this health is in; None where there is none that is told."""
    if state.state is Health.LOCKED:
        return AlertKind.CONNECTION_LOCKED
    if state.state is not Health.THROTTLED:
        return None
    if state.why in ABOUT_ENCRYPTION:
        return AlertKind.CERTIFICATE_TROUBLE
    return AlertKind.CONNECTION_THROTTLED if _lasts(state) else None


def _lasts(state: HealthState) -> bool:
    return state.since is not None and state.until is not None and state.until - state.since > PATIENCE
