"""A message as the API takes it, as a `Submission`: every fault at once, each at its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from vaguemestre.doors.api.reading import (
    Parse,
    attachments,
    key,
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
from vaguemestre.mail.compose import Bodies, Post, compose
from vaguemestre.mail.errors import Invalid

_POST: Mapping[str, Parse] = {  # in the order of `Post`
    "to": mailboxes,
    "cc": mailboxes,
    "bcc": mailboxes,
    "from": mailbox,
    "reply_to": mailboxes,
    "subject": text,
    "text": text,
    "html": text,
    "attachments": attachments,
    "headers": text_map,
}
_SUBMISSION: Mapping[str, Parse] = {  # in the order of `Submission`, behind whose key it came with
    "stream": key,
    "connection": key,
    "send_at": moment,
    "expires_at": moment,
    "tags": texts,
    "metadata": text_map,
    "on_doubt": text,
}
_TEMPLATE: Mapping[str, Parse] = {
    "template": text,
    "data": mapping,
    "language": text,
}
FIELDS = {**_POST, **_SUBMISSION, **_TEMPLATE}
_OF_POST, _OF_SUBMISSION = slice(len(_POST)), slice(len(_POST), len(_POST) + len(_SUBMISSION))
_DEFAULTS = {one.name: one.default for one in fields(Submission)}
_NOTHING: list[object] = [
    *[one.default for one in fields(Post)],
    *map(_DEFAULTS.__getitem__, _SUBMISSION),
    "",
    MappingProxyType({}),
    "",
]
_ABSENT = dict(zip(FIELDS, _NOTHING, strict=True))
_WRITTEN = ("subject", "text", "html")  # by a template, where one is named


def submission_of(
    values: Mapping[str, object], submitter: ApiKey, bodies: Bodies | None = None
) -> Submission:
    """What to hand to the ledger.

    Args:
        values: the message.
        submitter: whose key it came with.
        bodies: as for `compose`.

    Raises:
        Refusal: every fault of the fields; then what `compose` finds.
    """
    found, faults = read_all(values, FIELDS, "A message", _ABSENT)
    if not _TEMPLATE.keys().isdisjoint(values):
        faults += _beside(values, found["template"])
    if faults:
        raise Refusal(*faults)
    given = [*found.values()]
    post = Post(*given[_OF_POST])
    try:
        if found["template"]:
            # What a template writes nobody has looked through.
            post, bodies = _written(post, found), None
        envelope, content = compose(post, bodies)
    except Invalid as fault:
        raise Refusal(fault) from None
    return Submission(envelope, content, Via.API, submitter, *given[_OF_SUBMISSION])


def _beside(values: Mapping[str, object], template: str) -> list[Invalid]:
    """What does not go together with a template, or without one."""
    beside = _WRITTEN if template else ("data", "language")
    message = "The template writes this." if template else "This goes with a template, and there is none."
    return [Invalid(name, "template_beside", message) for name in beside if values.get(name)]


def _written(post: Post, found: Mapping[str, Any]) -> Post:
    """The post, with what the template writes."""
    letter = Letter(found["template"], found["data"], found["language"], found["stream"] or "")
    return write(post, letter)
