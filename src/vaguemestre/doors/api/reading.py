"""Reads the fields of a posted object: one parser for each kind of value, every fault at its path.

Each parser raises `Invalid` at the name it was given.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.compose import Attachment
from vaguemestre.mail.envelope import RECIPIENT_LIMIT
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox

type Parse = Callable[[Any, str], Any]

_ATTACHMENT = frozenset({"filename", "content_type", "content", "content_id"})


@dataclass
class Reading:
    """Reads the fields of one posted object and gathers their faults."""

    values: Mapping[str, object]
    faults: list[Invalid] = field(default_factory=list)

    def read[T](self, name: str, parse: Callable[[object, str], T], otherwise: T) -> T:
        """The field's value; `otherwise` where it is absent, null or wrong."""
        value = self.values.get(name)
        if value is None:
            return otherwise
        try:
            return parse(value, name)
        except Invalid as fault:
            self.faults.append(fault)
            return otherwise


def read_all(
    values: Mapping[str, object], fields: Mapping[str, Parse], owner: str, absent: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Invalid]]:
    """An object's fields in the order of `absent`, and every fault in the order given; null is absent, too.

    Args:
        values: the object.
        fields: the parser of each field that it may have.
        owner: whose fields they are, for the refusal of another one.
        absent: of each field what stands for it where it is absent.
    """
    found = {**absent}
    faults: list[Invalid] = []
    for name, value in values.items():
        parse = fields.get(name)
        if parse is None:
            faults.append(Invalid(name, "unknown_field", f"{owner} has no field {name}."))
        elif value is not None:
            try:
                found[name] = parse(value, name)
            except Invalid as fault:
                faults.append(fault)
    return found, faults


def moment(value: object, name: str) -> datetime | None:
    """A time with its offset from UTC (RFC 3339).

    Raises:
        Invalid: code `time_syntax`.
    """
    try:
        found = datetime.fromisoformat(str(value))
        if found.tzinfo is not None and isinstance(value, str):
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = "Give a time with its offset, such as 2026-01-05T10:00:00+01:00."
    raise Invalid(name, "time_syntax", message)


def mailbox(value: object, name: str) -> NamedMailbox | None:
    """An address, or {"email", "name"}."""
    return parse_named(value, name)


def mailboxes(value: object, name: str) -> tuple[NamedMailbox, ...]:
    """One of them, or a list."""
    if not isinstance(value, list):
        return (parse_named(value, name),)
    if len(value) > RECIPIENT_LIMIT:
        raise Invalid(name, "recipients_many", f"A message has at most {RECIPIENT_LIMIT} recipients.")
    if len(value) == 1:
        return (parse_named(value[0], f"{name}[0]"),)
    return tuple(parse_named(item, f"{name}[{position}]") for position, item in enumerate(value))


def text(value: object, name: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise Invalid(name, "not_text", "Text is needed here.")
    return value


def key(value: object, name: str) -> str | None:
    """A text that names something, or nothing."""
    return text(value, name) or None


def texts(value: object, name: str) -> Sequence[str]:
    """A list of texts."""
    if not isinstance(value, list):
        raise Invalid(name, "not_texts", "A list of texts is needed here.")
    return tuple(text(item, f"{name}[{position}]") for position, item in enumerate(value))


def text_map(value: object, name: str) -> Mapping[str, str]:
    """An object of texts."""
    if not isinstance(value, dict):
        raise Invalid(name, "not_object", "An object of texts is needed here.")
    return {key: text(item, f"{name}.{key}") for key, item in value.items()}


def mapping(value: object, name: str) -> Mapping[str, object]:
    """An object."""
    if not isinstance(value, dict):
        raise Invalid(name, "not_object", "An object is needed here.")
    return value


def attachments(value: object, name: str) -> tuple[Attachment, ...]:
    """A list of files."""
    if not isinstance(value, list):
        raise Invalid(name, "not_objects", "A list of attachments is needed here.")
    return tuple(_attachment(item, f"{name}[{position}]") for position, item in enumerate(value))


def _attachment(value: object, at: str) -> Attachment:
    if not isinstance(value, dict):
        raise Invalid(at, "not_object", "An object with filename and content is needed here.")
    for name in value:
        if name not in _ATTACHMENT:
            raise Invalid(f"{at}.{name}", "unknown_field", f"An attachment has no field {name}.")
    content_id = value.get("content_id")
    return Attachment(
        filename=text(value.get("filename", ""), f"{at}.filename"),
        content=octets(value.get("content"), f"{at}.content"),
        content_type=text(value.get("content_type", "application/octet-stream"), f"{at}.content_type"),
        content_id="" if content_id is None else text(content_id, f"{at}.content_id"),
    )


def octets(value: object, at: str) -> bytes:
    """Bytes in base64."""
    try:
        return base64.b64decode(text(value, at), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, Invalid):
            raise
        raise Invalid(at, "base64", "This is not base64 (RFC 4648 §4), without line breaks.") from None
