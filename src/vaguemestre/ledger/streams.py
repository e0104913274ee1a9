"""Streams: named purposes of communication, each with its connection, Reply-To and policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from vaguemestre.ledger import connections, journal
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK, bump
from vaguemestre.ledger.lookup import keyed
from vaguemestre.ledger.models import Message, Stream, Template
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.mail.automation import AutoSubmitted
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.priority import Priority
from vaguemestre.mail.state import OnDoubt

_KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
# What acceptance and re-routing ask of a stream.
_ROUTED = {"connection_id", "reply_to", "priority", "retry_age", "auto_submitted", "unsubscribe"}


def all_streams() -> list[Stream]:
    """All, the built-in ones first."""
    return list(Stream.objects.select_related("connection").order_by("-built_in", "id"))


def find(key: str) -> Stream:
    """The stream of that key.

    Raises:
        Missing: there is none.
    """
    return keyed(Stream.objects.select_related("connection"), "stream", key)


def create(values: Mapping[str, object], actor: str, now: datetime) -> Stream:
    """A stream of one's own.

    Raises:
        Refusal: the faults, each at its field.
    """
    return _save(None, values, actor, now)


def edit(key: str, values: Mapping[str, object], actor: str, now: datetime) -> Stream:
    """Change the named values of a stream; its key stays.

    Raises:
        Missing, Refusal: the faults, each at its field.
    """
    return _save(find(key), values, actor, now)


def delete(key: str, actor: str, now: datetime) -> None:
    """Delete a stream of one's own that no message refers to.

    Raises:
        Conflict: it is built in, messages refer to it, or templates belong to it.
    """
    with writing():
        lock(CONFIGURATION_LOCK)
        stream = find(key)
        if stream.built_in:
            raise Conflict("stream_built_in", f"The stream {key} is built in and stays.", {"stream": key})
        if Message.objects.filter(stream=stream).exists():
            raise Conflict("stream_in_use", f"Messages refer to the stream {key}.", {"stream": key})
        if Template.objects.filter(stream=stream).exists():
            message = f"Templates belong to the stream {key}; delete them first."
            raise Conflict("stream_has_templates", message, {"stream": key})
        stream.delete()
        bump()
        journal.record("stream", key, "deleted", actor, now, {})


def _save(existing: Stream | None, values: Mapping[str, object], actor: str, now: datetime) -> Stream:
    with writing():
        lock(CONFIGURATION_LOCK)
        if existing is not None:
            existing = find(existing.key)  # as it is under the lock
        clean = _parse(values, existing)
        stream = existing or Stream()
        before = {column: getattr(stream, column) for column in clean}
        for column, value in clean.items():
            setattr(stream, column, value)
        stream.save()
        changes = journal.difference(before, clean)
        if existing is None or _ROUTED & set(changes):
            bump()
        if changes:
            action = "changed" if existing else "created"
            journal.record("stream", stream.key, action, actor, now, changes)
    return stream


def _parse(values: Mapping[str, object], existing: Stream | None) -> dict[str, Any]:
    given = values if existing else {"key": "", "name": values.get("key", "")} | dict(values)
    clean: dict[str, Any] = {}
    faults: list[Invalid] = []
    for field, value in given.items():
        parser = _PARSERS.get(field)
        try:
            if parser is None or (field == "key" and existing and value != existing.key):
                raise Invalid(field, "unknown_field", f"The field {field} cannot be set.")  # noqa: TRY301
            clean |= parser(value)
        except Invalid as fault:
            faults.append(fault.at(field))
    if existing is None and "key" in clean and Stream.objects.filter(key=clean["key"]).exists():
        faults.append(Invalid("key", "stream_taken", f"There is already a stream {clean['key']}."))
    if faults:
        raise Refusal(*faults)
    return clean


def _key(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise Invalid("key", "stream_key", "A stream's key is of small letters, digits and hyphens.")
    return {"key": value}


def _name(value: object) -> dict[str, Any]:
    if isinstance(value, str) and len(value) > 100:
        raise Invalid("name", "too_long", "Give the stream a name of at most 100 characters.")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise Invalid("name", "name_empty", "Give the stream a name of at most 100 characters.")
    return {"name": value}


def _connection(value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {"connection_id": None}
    try:
        return {"connection_id": connections.find(str(value)).pk}
    except Missing as missing:
        raise Invalid("connection", "connection_unknown", str(missing)) from None


def _reply_to(value: object) -> dict[str, Any]:
    if value is not None and not isinstance(value, str):
        raise Invalid("reply_to", "not_text", "Text is needed here.")
    return {"reply_to": Mailbox.parse(value, "reply_to").address if value else ""}


def _on_doubt(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or value not in {*OnDoubt}:
        raise Invalid("on_doubt", "on_doubt_unknown", "Choose retry or hold.")
    return {"on_doubt": OnDoubt(value).value}


def _days(value: object) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 3650:
        raise Invalid("retention_days", "days_range", "Give a number of days from 1 to 3650.")
    return {"retention_days": value}


def _hours(value: object) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 720:
        raise Invalid("retry_hours", "hours_range", "Give a number of hours from 1 to 720.")
    return {"retry_age": value * 3600.0}


def _priority(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or value not in {*Priority}:
        raise Invalid("priority", "priority_unknown", "Choose urgent, normal or low.")
    return {"priority": Priority(value).value}


def _auto_submitted(value: object) -> dict[str, Any]:
    if not isinstance(value, str) or value not in {*AutoSubmitted}:
        message = "Choose no, auto-generated or auto-replied."
        raise Invalid("auto_submitted", "auto_submitted_unknown", message)
    return {"auto_submitted": AutoSubmitted(value).value}


def _flag(name: str) -> Callable[[object], dict[str, Any]]:
    def parse(value: object) -> dict[str, Any]:
        if not isinstance(value, bool):
            raise Invalid(name, "not_boolean", "This is either true or false.")
        return {name: value}

    return parse


_PARSERS: dict[str, Callable[[object], dict[str, Any]]] = {
    "key": _key,
    "name": _name,
    "connection": _connection,
    "reply_to": _reply_to,
    "on_doubt": _on_doubt,
    "retry_hours": _hours,
    "priority": _priority,
    "auto_submitted": _auto_submitted,
    "unsubscribe": _flag("unsubscribe"),
    "retention_days": _days,
    "redact": _flag("redact"),
}
