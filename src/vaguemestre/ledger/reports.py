"""Reports of other programs: a file that they made, sent as it is with a few words about it.

The file travels byte for byte. The words come from a template, `report` unless another is named, and the
stream is `reports` unless another is named.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field

from vaguemestre.ledger.letters import Letter, write
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox

ANY_BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Report:
    """A file to be sent.

    Attributes:
        subject: "" is the file's name.
        text: some words about it; "" for none.
        data: what else the template may show.
    """

    to: tuple[NamedMailbox, ...]
    file: bytes = field(repr=False)
    filename: str
    subject: str = ""
    text: str = ""
    data: Mapping[str, object] = field(default_factory=dict)
    template: str = "report"
    language: str = ""
    stream: str = "reports"
    connection: str = ""
    from_: NamedMailbox | None = None
    reply_to: tuple[NamedMailbox, ...] = ()
    on_doubt: str = ""


def submission_of(report: Report, submitter: ApiKey | None, via: Via) -> Submission:
    """The message it makes, to be accepted.

    Raises:
        Refusal: the faults, each at its field.
    """
    post = Post(
        to=report.to,
        from_=report.from_,
        reply_to=report.reply_to,
        attachments=(Attachment(report.filename, report.file, kind_of(report.filename)),),
    )
    try:
        envelope, content = compose(_written(post, report))
    except Invalid as fault:
        raise Refusal(fault.at("filename") if "attachments" in fault.field else fault) from None
    connection = report.connection or None
    return Submission(envelope, content, via, submitter, report.stream, connection, on_doubt=report.on_doubt)


def _written(post: Post, report: Report) -> Post:
    letter = Letter(report.template, _data(report), report.language, report.stream)
    try:
        return write(post, letter)
    except Refusal as refusal:
        # The subject came in as data of the template.
        raise Refusal(*(_at_subject(fault) for fault in refusal.errors)) from None


def _at_subject(fault: Invalid) -> Invalid:
    return fault.at("subject") if fault.code == "template_line_break" else fault


def kind_of(filename: str) -> str:
    """What a file is, by its name; a message counts as any bytes, since it would travel in lines."""
    kind, encoding = mimetypes.guess_type(filename)
    return ANY_BYTES if kind is None or encoding or kind.startswith(("message/", "multipart/")) else kind


def _data(report: Report) -> dict[str, object]:
    words = {"title": report.subject or report.filename, "summary": report.text}
    return {**{name: word for name, word in words.items() if word}, **report.data}
