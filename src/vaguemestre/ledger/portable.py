"""The whole configuration as one document, to be kept or taken to another installation.

Connections, streams, forms, settings, the schedule of the weekly report and source addresses; one another
they name by name or key. Secrets are in it only under a passphrase; without one they are left out and named.
People and API keys are never in it: a key is kept as a digest, a person's password too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vaguemestre.ledger import (
    connections,
    forms,
    instance,
    oauth2,
    report_schedule,
    source_addresses,
    streams,
    vault,
)
from vaguemestre.ledger.models import Connection, Form, Stream
from vaguemestre.ledger.oauth2_typed import PLAIN
from vaguemestre.ledger.passphrase import Seal
from vaguemestre.ledger.resources import connection_resource, stream_resource
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Grant

FORMAT = "vaguemestre-configuration"
VERSION = 1
CONNECTION = (
    "name", "sender_email", "sender_name", "reply_to", "host", "port", "encryption", "auth", "login",
    "active", "is_default", "allowed_senders", "limits", "pinned_certificate", "source_address",
)  # fmt: skip
_MADE_HERE = ("address", "created_at")  # of a form
_BOUND = ("name", "host", "port", "encryption", "pinned_certificate", "auth", "login", "oauth2")


@dataclass(frozen=True)
class Exported:
    """The document, and the connections whose secrets are not in it."""

    document: dict[str, Any]
    left_out: tuple[str, ...]


def export(now: datetime, passphrase: Secret | None = None) -> Exported:
    """The configuration as it is.

    Raises:
        Invalid: the passphrase is too short.
        vault.KeyMissing: the stored secrets cannot be read.
    """
    seal = None if passphrase is None else Seal.new(passphrase)
    told = [_connection(one, seal) for one in connections.all_connections()]
    left_out = tuple(one["name"] for one in told if one.pop("left_out"))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": now.isoformat(),
        "settings": instance.settings(),
        "weekly_report": _weekly_report(),
        "connections": told,
        "streams": [_stream(stream) for stream in streams.all_streams()],
        "forms": [_form(form) for form in forms.all_forms()],
        "source_addresses": [_address(row) for row in source_addresses.listed()],
        "secrets": None if seal is None else seal.parameters,
    }
    return Exported(document, left_out)


def bound(connection: Mapping[str, Any]) -> dict[str, Any]:
    """What a sealed secret of the document is bound to."""
    return {name: connection.get(name) for name in _BOUND}


def _connection(connection: Connection, seal: Seal | None) -> dict[str, Any]:
    resource = connection_resource(connection)
    told = {name: resource[name] for name in CONNECTION}
    told["backup"] = connection.backup.name if connection.backup else None
    account = resource["oauth2"]
    told["oauth2"] = None if account is None else {name: account[name] for name in PLAIN}
    words = _secrets(connection)
    if words and seal is not None:
        told["secret"] = seal.close(words, bound(told))
    told["left_out"] = connections.vault_has(connection) and "secret" not in told
    return told


def _secrets(connection: Connection) -> dict[str, str]:
    """A connection's secrets under the names that they are typed under; none that cannot be read."""
    try:
        if connection.auth == AuthKind.OAUTH2:
            return _of_the_account(connection)
        stored = vault.secret_of(connection)
    except vault.Unreadable:
        return {}
    return {} if stored is None else {"password": stored.reveal()}


def _of_the_account(connection: Connection) -> dict[str, str]:
    account, credentials = oauth2.account_of(connection), oauth2.kept_of(connection).credentials
    if account is not None and account.grant is Grant.JWT_BEARER:
        key = {
            "client_email": account.issuer,
            "client_id": account.client_id,
            "private_key": credentials.secret.reveal(),
            "private_key_id": credentials.key_id,
        }
        return {"service_account_key": json.dumps(key)} if credentials.secret else {}
    words = {
        "client_secret": credentials.secret.reveal(),
        "refresh_token": credentials.refresh_token.reveal(),
    }
    return {name: word for name, word in words.items() if word}


def _stream(stream: Stream) -> dict[str, Any]:
    told = stream_resource(stream)
    told.pop("built_in")
    return told | {"connection": stream.connection.name if stream.connection else None}


def _form(form: Form) -> dict[str, Any]:
    told = {name: value for name, value in forms.resource(form).items() if name not in _MADE_HERE}
    return told | {"connection": form.connection.name if form.connection else None}


def _weekly_report() -> dict[str, Any] | None:
    row = report_schedule.find()
    return None if row.set_at is None else report_schedule.settings_of(row)


def _address(row: Any) -> dict[str, Any]:
    days = {name: getattr(row, name) for name in ("valid_from", "valid_until")}
    return {
        "address": row.address,
        "label": row.label,
        **{name: day.isoformat() if day else None for name, day in days.items()},
    }
