"""A message as the API takes it, as a `Submission`: every fault at once, each at its path."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vaguemestre.doors.api.reading import (
    Parse,
    attachments,
    body,
    mailbox,
    mailboxes,
    mapping,
    moment,
    read_all,
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

FIELDS: Mapping[str, Parse] = {
    "to": mailboxes,
    "cc": mailboxes,
    "bcc": mailboxes,
    "from": mailbox,
    "reply_to": mailboxes,
    "subject": text,
    "text": body,
    "html": body,
    "attachments": attachments,
    "headers": text_map,
    "stream": text,
    "connection": text,
    "send_at": moment,
    "expires_at": moment,
    "tags": texts,
    "metadata": text_map,
    "on_doubt": text,
    "template": text,
    "data": mapping,
    "language": text,
}
_NONE: Mapping[str, str] = MappingProxyType({})
_TEMPLATE = frozenset({"template", "data", "language"})
_WRITTEN = ("subject", "text", "html")  # by a template, where one is named


def submission_of(values: Mapping[str, object], submitter: ApiKey) -> Submission:
    """What to hand to the ledger.

    Raises:
        Refusal: every fault of the fields; then what `compose` finds.
    """
    found, faults = read_all(values, FIELDS, "A message")
    if not _TEMPLATE.isdisjoint(values):
        faults += _beside(values, found.get("template", ""))
    if faults:
        raise Refusal(*faults)
    get = found.get
    try:
        envelope, content = compose(_written(found))
    except Invalid as fault:
        raise Refusal(fault) from None
    return Submission(
        envelope,
        content,
        Via.API,
        submitter,
        stream=get("stream") or None,
        connection=get("connection") or None,
        on_doubt=get("on_doubt", ""),
        tags=get("tags", ()),
        metadata=get("metadata", _NONE),
        send_at=get("send_at"),
        expires_at=get("expires_at"),
    )


def _beside(values: Mapping[str, object], template: str) -> list[Invalid]:
    """What does not go together with a template, or without one."""
    beside = _WRITTEN if template else ("data", "language")
    message = "The template writes this." if template else "This goes with a template, and there is none."
    return [Invalid(name, "template_beside", message) for name in beside if values.get(name)]


def _written(found: Mapping[str, Any]) -> Post:
    """The post, with what a template writes if one is named."""
    get = found.get
    post = Post(
        to=get("to", ()),
        cc=get("cc", ()),
        bcc=get("bcc", ()),
        from_=get("from"),
        reply_to=get("reply_to", ()),
        subject=get("subject", ""),
        text=get("text"),
        html=get("html"),
        attachments=get("attachments", ()),
        headers=get("headers", _NONE),
    )
    template = get("template", "")
    if not template:
        return post
    return write(post, Letter(template, get("data", {}), get("language", ""), get("stream", "")))
