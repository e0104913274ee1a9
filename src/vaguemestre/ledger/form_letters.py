"""What a form writes: to those it notifies, and to the visitor.

What a visitor wrote never makes a header by itself: the subject comes from a template, with a name that is
one short line; the notification's Reply-To is the address typed, through the strict grammar; all else is
body, escaped where it is HTML. The reply repeats nothing of it unless the form says so: else anybody could
have us send their words to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from vaguemestre.ledger import templates
from vaguemestre.ledger.forms import fields_of
from vaguemestre.ledger.models import Form
from vaguemestre.ledger.referrers import FORM_STREAM as STREAM
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.automation import AutoSubmitted
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.policy.form_field import Field, Filled, Kind, plain_name
from vaguemestre.templating import starters
from vaguemestre.templating.fault import Fault
from vaguemestre.templating.rendering import Rendered
from vaguemestre.templating.rendering import compose as render_starter

NOTIFICATION = "form-notification"
SUBJECT_NAME = 60  # characters of a visitor's name in a subject

log = structlog.get_logger("forms")


@dataclass(frozen=True)
class Sent:
    """What a visitor sent, as the door read it.

    Attributes:
        files: with the fields they belong to.
        address: of the network, that it came from.
        nonce: of the page that it was sent from; None where that was not fetched from us.
    """

    filled: Filled
    files: tuple[tuple[Field, Attachment], ...]
    language: str
    address: str
    nonce: str | None


def notification(form: Form, sent: Sent) -> Submission | None:
    """To those it notifies; None where there is nobody.

    Raises:
        Refusal: a file that cannot travel, at its field.
    """
    if not form.notify:
        return None
    visitor = sent.filled.email
    words = _notifying(form, sent)
    post = Post(
        to=tuple(NamedMailbox(Mailbox.parse(address)) for address in form.notify),
        reply_to=() if visitor is None else (NamedMailbox(visitor),),
        attachments=tuple(attachment for _, attachment in sent.files),
        headers={"Auto-Submitted": AutoSubmitted.GENERATED.value},
    )
    return _submission(form, _worded(post, words), sent)


def reply(form: Form, sent: Sent) -> Submission | None:
    """To the address typed, and to no other; None where the template cannot be used: the log says why."""
    visitor = sent.filled.email
    if visitor is None:
        return None
    try:
        words = templates.render(form.template, sent.language, _repeated(form, sent), STREAM)
    except Refusal as refusal:
        log.warning("form_reply_not_written", form=form.key, why=str(refusal))
        return None
    post = Post(
        to=(NamedMailbox(visitor),),
        reply_to=(NamedMailbox(Mailbox.parse(form.reply_to)),) if form.reply_to else (),
        headers={"Auto-Submitted": AutoSubmitted.REPLIED.value},
    )
    return _submission(form, _worded(post, words), sent)


def _notifying(form: Form, sent: Sent) -> Rendered:
    """A template of one's own that fails must not lose what somebody wrote: ours stands in."""
    language, data = form.languages[0], _told(form, sent)
    try:
        return templates.render(NOTIFICATION, language, data, STREAM)
    except Refusal as refusal:
        log.warning("form_notification_by_starter", form=form.key, why=str(refusal))
    sources = starters.starter(NOTIFICATION, language) or starters.starter(NOTIFICATION, "en")
    if sources is None:
        raise LookupError(NOTIFICATION)
    try:
        return render_starter(sources, data, language)
    except Fault as fault:
        raise Refusal(Invalid("", fault.code, fault.message, fault.facts)) from None


def _told(form: Form, sent: Sent) -> Mapping[str, object]:
    """All of it, for those who are notified."""
    name = sent.filled.first(Kind.NAME) or sent.filled.first(Kind.EMAIL)
    return {
        "form": form.name,
        "name": name[:SUBJECT_NAME],
        "answers": [_answer(field, text) for field, text in sent.filled.answers],
        "files": [attachment.filename for _, attachment in sent.files],
    }


def _repeated(form: Form, sent: Sent) -> Mapping[str, object]:
    """What the visitor may read again."""
    found: dict[str, object] = {"form": form.name}
    name = plain_name(sent.filled.first(Kind.NAME))
    if name:
        found["name"] = name
    if form.quotes:
        message = next((field for field in fields_of(form) if field.kind is Kind.LINES), None)
        found["message"] = sent.filled.first(Kind.LINES)
        found["answers"] = [
            _answer(field, text)
            for field, text in sent.filled.answers
            if field != message and field.kind is not Kind.NAME
        ]
    return found


def _answer(field: Field, text: str) -> dict[str, str]:
    return {"label": field.label, "value": "✓" if field.kind is Kind.CHECKBOX else text}


def _worded(post: Post, words: Rendered) -> Post:
    return replace(post, subject=words.subject, text=words.text, html=words.html)


def _submission(form: Form, post: Post, sent: Sent) -> Submission:
    try:
        envelope, content = compose(post)
    except Invalid as fault:
        raise Refusal(_at_field(fault, sent)) from None
    connection = None if form.connection is None else str(form.connection.uid)
    return Submission(
        envelope, content, Via.FORM, stream=STREAM, connection=connection, metadata={"form": form.key}
    )


def _at_field(fault: Invalid, sent: Sent) -> Invalid:
    """A fault of an attachment, at the field that the visitor sees."""
    position = fault.field.removeprefix("attachments[").partition("]")[0]
    if position.isdecimal() and int(position) < len(sent.files):
        return fault.at(sent.files[int(position)][0].name)
    return fault
