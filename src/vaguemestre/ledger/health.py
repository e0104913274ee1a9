"""A connection's health between its row and `policy.health`, which alone knows the transitions."""

from __future__ import annotations

from typing import Any

from vaguemestre.ledger.models import Connection
from vaguemestre.mail.state import Health
from vaguemestre.policy.health import HealthState


def health_of(connection: Connection) -> HealthState:
    """The health that the row keeps."""
    return HealthState(
        state=Health(connection.health),
        why=connection.health_why,
        text=connection.health_text,
        until=connection.health_until,
        step=connection.health_step,
        broken_running=connection.broken_running,
        since=connection.health_since,
    )


def health_columns(state: HealthState) -> dict[str, Any]:
    """The row's columns for a health."""
    return {
        "health": state.state.value,
        "health_why": state.why,
        "health_text": state.text,
        "health_until": state.until,
        "health_step": state.step,
        "broken_running": state.broken_running,
        "health_since": state.since,
    }


def store_health(connection: Connection, state: HealthState) -> None:
    """Give the row another health; the caller saves it."""
    for column, value in health_columns(state).items():
        setattr(connection, column, value)


def keep_health(connection_id: int, version: int, state: HealthState) -> None:
    """Store a health that a courier learned. A person's pause stays, and other settings are not blamed."""
    unpaused = Connection.objects.filter(pk=connection_id, version=version).exclude(health="paused")
    unpaused.update(**health_columns(state))
