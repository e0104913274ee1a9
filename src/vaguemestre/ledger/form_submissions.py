"""What comes in through forms: taken over once, told, answered, listed, exported, forgotten.

`take` is one transaction: the submission, its notification and its reply are all committed, or none is (L5).
The form's row is held meanwhile, so that limits are exact and the same sent twice is the same submission. A
reply goes to the address typed and to no other, once, and to no address behind which a program may stand
(RFC 3834 §2), nor to a sender of ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from vaguemestre.ledger import form_letters, form_limits
from vaguemestre.ledger.accept import Submission, accept
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.form_letters import Sent
from vaguemestre.ledger.forms import fields_of
from vaguemestre.ledger.models import Connection, Form, FormSubmission
from vaguemestre.ledger.refusals import Conflict, Missing
from vaguemestre.mail.spreadsheet import MARK, line
from vaguemestre.policy.automatic import is_automatic

SAME = timedelta(hours=1)  # within which the same again is the same
BATCH = 500


class Unreplied(StrEnum):
    """Why a visitor got no reply."""

    OFF = "off"
    NO_ADDRESS = "no_address"
    AUTOMATIC = "automatic"
    OWN_ADDRESS = "own_address"
    OFTEN = "often"
    TEMPLATE = "template"


def take(form: Form, sent: Sent, now: datetime) -> FormSubmission:
    """Take a checked submission over; when this returns it is committed. The same again is the one before.

    Raises:
        Refusal: a message of it cannot be made, at the field.
        TooMany: a limit is reached.
        Conflict: its page served for another submission (`form_page_used`).
        Missing: the form was deleted, or switched off, meanwhile.
    """
    digest, token = _digest(form, sent), sent.nonce is not None
    before = _before(form, digest, now)
    if before is not None:
        return before
    form_limits.refuse_full(form, sent.address, now, token=token)
    told, why = form_letters.notification(form, sent), _never(form, sent)
    answer = None if why else form_letters.reply(form, sent)
    with writing():
        held = Form.objects.select_for_update().filter(pk=form.pk, active=True).first()
        if held is None:
            raise Missing("form", form.key)
        before = _before(held, digest, now)  # or somebody was faster while the letters were written
        if before is not None:
            return before
        _refuse_used(held, sent)
        form_limits.admit(held, sent.address, now, token=token)
        why = why or _unreplied(held, sent, answer, now)
        return _stored(held, sent, digest, told, None if why else answer, why, now)


def of_form(form: Form, limit: int, before: int | None = None) -> list[FormSubmission]:
    """The latest first."""
    found = FormSubmission.objects.filter(form=form).select_related("notification", "reply")
    return list((found if before is None else found.filter(pk__lt=before)).order_by("-pk")[:limit])


def number(form: Form) -> int:
    """How many there are."""
    return FormSubmission.objects.filter(form=form).count()


def delete(form: Form, uid: str) -> None:
    """Delete one, at the visitor's wish; messages that were sent stay until their own time is over.

    Raises:
        Missing: there is none.
    """
    with writing():
        found = None if (known := _uid(uid)) is None else FormSubmission.objects.filter(form=form, uid=known)
        if found is None or not found.delete()[0]:
            raise Missing("submission", uid)


def csv_of(form: Form) -> Iterator[str]:
    """All of them as CSV (RFC 4180), line by line; no cell begins as a formula does."""
    fields = fields_of(form)
    yield MARK + line(["id", "time", "language", *(field.label for field in fields)])
    for one in FormSubmission.objects.filter(form=form).order_by("pk").iterator(chunk_size=BATCH):
        told = {answer["name"]: answer["value"] for answer in one.values}
        for file in one.files:
            told[file["name"]] = ", ".join(filter(None, (told.get(file["name"]), file["filename"])))
        cells = (told.get(field.name, "") for field in fields)
        yield line([str(one.uid), one.at.isoformat(timespec="seconds"), one.language, *cells])


def resource(one: FormSubmission) -> dict[str, Any]:
    """A submission as API and command line show it."""
    return {
        "id": str(one.uid),
        "at": one.at,
        "language": one.language,
        "email": one.email,
        "values": one.values,
        "files": one.files,
        "notification": None if one.notification is None else str(one.notification.uid),
        "reply": None if one.reply is None else str(one.reply.uid),
        "unreplied": one.unreplied or None,
    }


def _uid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _digest(form: Form, sent: Sent) -> str:
    """Of all that was sent; keyed, since what people write can be guessed."""
    answers = [[field.name, text] for field, text in sent.filled.answers]
    files = [[field.name, one.filename, hashlib.sha256(one.content).hexdigest()] for field, one in sent.files]
    return form_limits.bucket("same", json.dumps([form.pk, answers, files]))


def _before(form: Form, digest: str, now: datetime) -> FormSubmission | None:
    return FormSubmission.objects.filter(form=form, digest=digest, at__gt=now - SAME).first()


def _refuse_used(form: Form, sent: Sent) -> None:
    if sent.nonce is None or not FormSubmission.objects.filter(form=form, nonce=sent.nonce).exists():
        return
    message = "This page served for another submission; send it once more."
    raise Conflict("form_page_used", message)


def _never(form: Form, sent: Sent) -> str:
    """Why there is no reply to that address at any time; "" where there may be one."""
    visitor = sent.filled.email
    if not form.replies:
        return Unreplied.OFF.value
    if visitor is None:
        return Unreplied.NO_ADDRESS.value
    if is_automatic(visitor):
        return Unreplied.AUTOMATIC.value
    if Connection.objects.filter(sender_ascii__iexact=visitor.wire, deleted_at=None).exists():
        return Unreplied.OWN_ADDRESS.value
    return ""


def _unreplied(form: Form, sent: Sent, answer: Submission | None, now: datetime) -> str:
    """Why there is no reply now; "" where there is one. It counts."""
    if answer is None or sent.filled.email is None:
        return Unreplied.TEMPLATE.value
    return "" if form_limits.may_reply(form, sent.filled.email.key, now) else Unreplied.OFTEN.value


def _stored(  # noqa: PLR0913, PLR0917  the parts of one row
    form: Form, sent: Sent, digest: str, told: Submission | None, answer: Submission | None, why: str,
    now: datetime,
) -> FormSubmission:  # fmt: skip
    return FormSubmission.objects.create(
        form=form, at=now, language=sent.language,
        email="" if sent.filled.email is None else sent.filled.email.address,
        values=[
            {"name": field.name, "label": field.label, "value": text} for field, text in sent.filled.answers
        ],
        files=[
            {"name": field.name, "filename": one.filename, "size": len(one.content)}
            for field, one in sent.files
        ],
        digest=digest, nonce=sent.nonce,
        notification=None if told is None else accept(told, now),
        reply=None if answer is None else accept(answer, now),
        unreplied=why,
    )  # fmt: skip
