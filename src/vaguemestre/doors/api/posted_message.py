"""A message as the API takes it, as a `Submission`: every fault at once, each at its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vaguemestre.doors.api.reading import (
    Reading,
    attachments,
    body,
    mailbox,
    mailboxes,
    mapping,
    moment,
    text,
    text_map,
    texts,
)
from vaguemestre.ledger.accept import Submission, Via
from vaguemestre.ledger.letters import Letter, write
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.errors import Invalid

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


def submission_of(values: Mapping[str, object], submitter: ApiKey) -> Submission:
    """What to hand to the ledger.

    Raises:
        Refusal: every fault of the fields; then what `compose` finds.
    """
    reading = Reading(values)
    reading.faults += [_unknown(name) for name in values if name not in FIELDS]
    post = _post(reading)
    stream = reading.read("stream", text, "")
    letter = _letter(reading, stream)
    connection = reading.read("connection", text, "")
    on_doubt = reading.read("on_doubt", text, "")
    tags: Sequence[str] = reading.read("tags", texts, ())
    metadata: Mapping[str, str] = reading.read("metadata", text_map, {})
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


def _unknown(name: str) -> Invalid:
    return Invalid(name, "unknown_field", f"A message has no field {name}.")


def _letter(reading: Reading, stream: str) -> Letter | None:
    """What a template is to write; None without a template."""
    template = reading.read("template", text, "")
    data: Mapping[str, object] = reading.read("data", mapping, {})
    language = reading.read("language", text, "")
    beside = _WRITTEN if template else ("data", "language")
    message = "The template writes this." if template else "This goes with a template, and there is none."
    reading.faults += [
        Invalid(name, "template_beside", message) for name in beside if reading.values.get(name)
    ]
    return Letter(template, data, language, stream) if template else None


def _post(reading: Reading) -> Post:
    return Post(
        to=reading.read("to", mailboxes, ()),
        cc=reading.read("cc", mailboxes, ()),
        bcc=reading.read("bcc", mailboxes, ()),
        from_=reading.read("from", mailbox, None),
        reply_to=reading.read("reply_to", mailboxes, ()),
        subject=reading.read("subject", text, ""),
        text=reading.read("text", body, None),
        html=reading.read("html", body, None),
        attachments=reading.read("attachments", attachments, ()),
        headers=reading.read("headers", text_map, {}),
    )
