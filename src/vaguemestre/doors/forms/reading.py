"""What was posted to a form: HTML forms in both encodings, and JSON. Never more than the form takes.

The announced length is looked at before a byte is read. A form without a field for files takes little. What
cannot be read is refused with a status of HTTP's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError

from vaguemestre.doors.api.arrival import BrokenOff
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.problems import Rejected
from vaguemestre.doors.api.reading import attachments
from vaguemestre.doors.api.rooms import Full
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.compose import Attachment
from vaguemestre.mail.errors import Invalid
from vaguemestre.policy.form_field import Field, Kind

WORDS = 256 * 1024  # bytes of a body without files
FILES = 5 * 1024 * 1024  # bytes of all files together
MOST = 5  # files
HTML = ("application/x-www-form-urlencoded", "multipart/form-data")
# The last of these is of a charset that is no text's.
_UNREADABLE = (
    SuspiciousOperation, MultiPartParserError, UnreadablePostError, BadRequest, ValueError, LookupError,
)  # fmt: skip
_TYPE = re.compile(r"(?!multipart/|message/)[a-z]{1,20}/[a-z0-9.+-]{1,80}")


@dataclass(frozen=True)
class Posted:
    """What was posted: texts by the names of fields, and files with the fields that they belong to."""

    values: Mapping[str, object]
    files: tuple[tuple[Field, Attachment], ...]

    def text(self, name: str) -> str:
        """The text of that name; "" where there is none."""
        found = self.values.get(name, "")
        return found if isinstance(found, str) else ""


def read(request: HttpRequest, fields: Sequence[Field]) -> Posted:
    """What was posted.

    Raises:
        Rejected: too many bytes (413), without their number (411), of another type (415), not readable (400).
        BrokenOff: not all of it came.
        Full: too many are sending something at this moment.
        Refusal: files that are not, or too many, at their field.
    """
    takers = [one for one in fields if one.kind is Kind.FILE]
    _refuse_large(request, WORDS + (_files_limit() if takers else 0))
    if _media_type(request) in HTML:
        return _from_html(request, takers)
    return _from_json(request, takers)


def is_json(request: HttpRequest) -> bool:
    """Whether the answer is to be JSON."""
    accepted = request.headers.get("Accept", "")
    return _media_type(request) == "application/json" or (
        "application/json" in accepted and "text/html" not in accepted
    )


def _media_type(request: HttpRequest) -> str:
    return str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def _files_limit() -> int:
    """In base64 JSON takes a third more; and a message with them must be one that is taken."""
    return int(min(FILES, settings.ENVIRONMENT.max_message_bytes * 0.6) * 1.4)


def _refuse_large(request: HttpRequest, limit: int) -> None:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length.isdecimal():
        raise Rejected(411, "Send the body with its Content-Length, not in chunks.")
    if int(length) > limit:
        raise Rejected(413, f"This is too large: at most {limit // 1024} KiB are taken here.")


def _from_html(request: HttpRequest, takers: Sequence[Field]) -> Posted:
    try:
        values = {name: request.POST.get(name, "") for name in request.POST}
        found = [(one, _uploaded(upload)) for one in takers for upload in request.FILES.getlist(one.name)]
    except (BrokenOff, Full):
        raise
    except _UNREADABLE:
        raise Rejected(400, "The form cannot be read.") from None
    return Posted(values, _bounded(found))


def _uploaded(upload: UploadedFile[Any]) -> Attachment:
    given = str(upload.content_type or "").lower()
    kind = given if _TYPE.fullmatch(given) else "application/octet-stream"
    return Attachment(str(upload.name), upload.read(), kind)


def _from_json(request: HttpRequest, takers: Sequence[Field]) -> Posted:
    values = posted(request, WORDS + _files_limit())
    found = [
        (one, attachment)
        for one in takers
        if values.get(one.name) is not None
        for attachment in attachments(values[one.name], one.name)
    ]
    return Posted(values, _bounded(found))


def _bounded(found: Sequence[tuple[Field, Attachment]]) -> tuple[tuple[Field, Attachment], ...]:
    size = sum(len(one.content) for _, one in found)
    if len(found) > MOST:
        raise Refusal(Invalid(found[0][0].name, "form_files_many", f"At most {MOST} files."))
    if size > FILES:
        raise Refusal(Invalid(found[0][0].name, "form_files_large", "The files are too large: at most 5 MB."))
    return tuple(found)
