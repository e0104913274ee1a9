"""The ledger's things as the API and the command line show them (`interface.md`). Never a secret."""

from __future__ import annotations

from typing import Any

from vaguemestre.ledger import fields, verifications
from vaguemestre.ledger.connections import vault_has
from vaguemestre.ledger.models import Connection, Stream


def connection_resource(connection: Connection) -> dict[str, Any]:
    """A connection."""
    verification = verifications.state_of(connection)
    return {
        "id": str(connection.uid),
        "name": connection.name,
        "sender_email": connection.sender_email,
        "sender_name": connection.sender_name,
        "reply_to": connection.reply_to,
        "host": connection.host,
        "port": connection.port,
        "encryption": connection.encryption,
        "auth": connection.auth,
        "login": connection.login,
        "has_password": vault_has(connection),
        "active": connection.active,
        "is_default": connection.is_default,
        "allowed_senders": connection.allowed_senders,
        "backup": str(connection.backup.uid) if connection.backup else None,
        "limits": {name: getattr(connection, name) for name in fields.LIMITS},
        "pinned_certificate": connection.pinned_certificate,
        "source_address": connection.source_address,
        "health": {
            "state": connection.health,
            "why": connection.health_text or connection.health_why,
            "until": connection.health_until,
        },
        "verification": {
            "state": verification.state.value,
            "at": verification.at,
            "findings": list(verification.findings),
        },
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
    }


def stream_resource(stream: Stream) -> dict[str, Any]:
    """A stream."""
    return {
        "key": stream.key,
        "name": stream.name,
        "connection": str(stream.connection.uid) if stream.connection else None,
        "reply_to": stream.reply_to,
        "on_doubt": stream.on_doubt,
        "retention_days": stream.retention_days,
        "redact": stream.redact,
    }
