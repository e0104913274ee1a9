"""A message as the API takes it, as a `Submission`: every fault at once, each at its path."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vaguemestre.ledger.accept import Submission, Via
from vaguemestre.ledger.letters import Letter, write
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.envelope import RECIPIENT_LIMIT
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox

FIELDS = frozenset(
    {
        "to",
        "cc",
        "bcc",
        "from",
        "reply_to",
        "subject",
        "text",
        "html",
        "attachments",
        "headers",
        "stream",
        "connection",
        "send_at",
        "expires_at",
        "tags",
        "metadata",
        "on_doubt",
        "template",
        "data",
        "language",
    }
)
_WRITTEN = ("subject", "text", "html")  # by a template, where one is named
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


def submission_of(values: Mapping[str, object], submitter: ApiKey) -> Submission:
    """What to hand to the ledger.

    Raises:
        Refusal: every fault of the fields; then what `compose` finds.
    """
    reading = Reading(values)
    reading.faults += [_unknown(name) for name in values if name not in FIELDS]
    post = _post(reading)
    stream = reading.read("stream", _text, "")
    letter = _letter(reading, stream)
    connection = reading.read("connection", _text, "")
    on_doubt = reading.read("on_doubt", _text, "")
    tags: Sequence[str] = reading.read("tags", _texts, ())
    metadata: Mapping[str, str] = reading.read("metadata", _text_map, {})
    send_at = reading.read("send_at", moment, None)
    expires_at = reading.read("expires_at", moment, None)
    if reading.faults:
        raise Refusal(*reading.faults)
    try:
        envelope, content = compose(post if letter is None else write(post, letter))
    except Invalid as fault:
        raise Refusal(fault) from None
    return Submission(
        envelope,
        content,
        Via.API,
        submitter,
        stream=stream or None,
        connection=connection or None,
        on_doubt=on_doubt,
        tags=tuple(tags),
        metadata=metadata,
        send_at=send_at,
        expires_at=expires_at,
    )


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


def _unknown(name: str) -> Invalid:
    return Invalid(name, "unknown_field", f"A message has no field {name}.")


def _letter(reading: Reading, stream: str) -> Letter | None:
    """What a template is to write; None without a template."""
    template = reading.read("template", _text, "")
    data: Mapping[str, object] = reading.read("data", _object, {})
    language = reading.read("language", _text, "")
    beside = _WRITTEN if template else ("data", "language")
    message = "The template writes this." if template else "This goes with a template, and there is none."
    reading.faults += [
        Invalid(name, "template_beside", message) for name in beside if reading.values.get(name)
    ]
    return Letter(template, data, language, stream) if template else None


def _post(reading: Reading) -> Post:
    return Post(
        to=reading.read("to", _mailboxes, ()),
        cc=reading.read("cc", _mailboxes, ()),
        bcc=reading.read("bcc", _mailboxes, ()),
        from_=reading.read("from", _mailbox, None),
        reply_to=reading.read("reply_to", _mailboxes, ()),
        subject=reading.read("subject", _text, ""),
        text=reading.read("text", _body, None),
        html=reading.read("html", _body, None),
        attachments=reading.read("attachments", _attachments, ()),
        headers=reading.read("headers", _text_map, {}),
    )


def _mailbox(value: object, name: str) -> NamedMailbox | None:
    return parse_named(value, name)


def _mailboxes(value: object, name: str) -> tuple[NamedMailbox, ...]:
    if not isinstance(value, list):
        return (parse_named(value, name),)
    if len(value) > RECIPIENT_LIMIT:
        raise Invalid(name, "recipients_many", f"A message has at most {RECIPIENT_LIMIT} recipients.")
    return tuple(parse_named(item, f"{name}[{position}]") for position, item in enumerate(value))


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(name, "not_text", "Text is needed here.")
    return value


def _body(value: object, name: str) -> str | None:
    return _text(value, name)


def _texts(value: object, name: str) -> Sequence[str]:
    if not isinstance(value, list):
        raise Invalid(name, "not_texts", "A list of texts is needed here.")
    return tuple(_text(item, f"{name}[{position}]") for position, item in enumerate(value))


def _text_map(value: object, name: str) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise Invalid(name, "not_object", "An object of texts is needed here.")
    return {key: _text(item, f"{name}.{key}") for key, item in value.items()}


def _object(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Invalid(name, "not_object", "An object is needed here.")
    return value


def _attachments(value: object, name: str) -> tuple[Attachment, ...]:
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
        filename=_text(value.get("filename", ""), f"{at}.filename"),
        content=_bytes(value.get("content"), f"{at}.content"),
        content_type=_text(value.get("content_type", "application/octet-stream"), f"{at}.content_type"),
        content_id="" if content_id is None else _text(content_id, f"{at}.content_id"),
    )


def _bytes(value: object, at: str) -> bytes:
    try:
        return base64.b64decode(_text(value, at), validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(error, Invalid):
            raise
        raise Invalid(at, "base64", "This is not base64 (RFC 4648 §4), without line breaks.") from None
