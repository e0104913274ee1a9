"""Notifications over HTTP: a template, data, one recipient; they leave through the stream `notifications`."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import submitter
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.posted_message import submission_of
from vaguemestre.doors.api.typed import known_only, needed
from vaguemestre.ledger.gathering import take
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.resources import accepted_summary

router = Router(tags=["Notifications"])
STREAM = "notifications"
LIMIT = 2_000_000  # bytes: data, and no attachments
_AS_MESSAGE = ("template", "data", "language", "from", "expires_at", "tags", "metadata")


@endpoint(
    router.post,
    "/notifications",
    "sendNotification",
    scopes=("send",),
    takes="NewNotification",
    gives="AcceptedMessage",
    status=202,
)
def send_notification(request: HttpRequest) -> Answer:
    """Tell somebody something; 202 means that it is kept for good."""
    values = posted(request, LIMIT)
    known_only(values, *_AS_MESSAGE, "recipient")
    needed(values, "template", "recipient")
    message = {name: values[name] for name in _AS_MESSAGE if name in values}
    try:
        submission = submission_of(
            message | {"to": [values["recipient"]], "stream": STREAM}, submitter(request)
        )
    except Refusal as refusal:
        raise Refusal(
            *(fault.at("recipient") if fault.field.startswith("to") else fault for fault in refusal.errors)
        ) from None
    return Answer(accepted_summary(take(submission, timezone.now())), 202)
