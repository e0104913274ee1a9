"""Verify a connection as it is typed, or as it is saved (L9): one answer of JSON, or an event for each step.

The event stream comes from a synchronous generator, since Django under WSGI buffers asynchronous ones. Texts
are in the language that `Accept-Language` prefers, else in English. Nothing is saved but what was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from ninja import Router

from vaguemestre.doors.api.body import posted, posted_if_any
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import preferred_language
from vaguemestre.doors.api.problems import Rejected, problem_of
from vaguemestre.doors.api.rendering import render
from vaguemestre.doors.api.schemas import operation, optional_body
from vaguemestre.doors.api.strict_json import JsonObject
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.ledger import connections, trial_message
from vaguemestre.ledger.connections import Draft
from vaguemestre.ledger.own_address import own_address
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.resources import message_summary
from vaguemestre.ledger.submission import Via
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.transcript import Step
from vaguemestre.verification.probe import Busy, Outcome, as_json, verify
from vaguemestre.verification.wording import words

router = Router(tags=["Connections"])
SCOPES = ("connections",)
EVENTS = "text/event-stream"
_RESPONSES = operation(200, "VerificationResult", "", heeds_key=False)["responses"]
_STREAMED = {
    "responses": _RESPONSES
    | {200: {"content": _RESPONSES[200]["content"] | {EVENTS: {"schema": {"type": "string"}}}}}
}


@endpoint(
    router.post,
    "/connections/verify",
    "verifyTypedConnection",
    scopes=SCOPES,
    takes="TypedConnection",
    gives="VerificationResult",
    repeatable=False,
    documented=_STREAMED,
)
def verify_typed(request: HttpRequest) -> Answer | HttpResponseBase:
    """Verify a connection as typed; `id` allows its stored secret where it is still bound.

    `recipient`, an address of somebody who has an account here or the sender of a connection, is asked for
    at RCPT and taken back: no message is sent. With `Accept: text/event-stream` the answer is one event for
    each step, the last the whole result.
    """
    values = posted(request)
    uid, recipient = text(values, "id"), _recipient(values)
    for name in ("id", "recipient"):
        values.pop(name, None)
    try:
        draft = connections.draft(values, uid or None)
    except Missing as missing:
        raise Refusal(Invalid("id", "connection_unknown", str(missing))) from None
    return _verified(request, draft, recipient)


@endpoint(
    router.post,
    "/connections/{connection}/verify",
    "verifyConnection",
    scopes=SCOPES,
    gives="VerificationResult",
    repeatable=False,
    documented=_STREAMED | optional_body("VerificationWishes"),
)
def verify_saved(request: HttpRequest, connection: str) -> Answer | HttpResponseBase:
    """Verify a connection as it is saved; `recipient` and `Accept: text/event-stream` as for one as typed."""
    values = posted_if_any(request)
    known_only(values, "recipient")
    draft = connections.saved_draft(connections.find(connection))
    return _verified(request, draft, _recipient(values))


@endpoint(
    router.post,
    "/connections/{connection}/test",
    "sendTestMessage",
    scopes=SCOPES,
    takes="TestMessage",
    gives="AcceptedMessage",
    status=202,
)
def send_test_message(request: HttpRequest, connection: str) -> Answer:
    """Send a test message; `to` as `recipient` of a verification. Routing decides as for every message."""
    values = posted(request)
    known_only(values, "to")
    found, to = connections.find(connection), own_address(text(values, "to"), "to")
    with translation.override(preferred_language(request)):
        message = trial_message.send(found, to, Via.API, timezone.now())
    return Answer(message_summary(message), 202)


def _recipient(values: JsonObject) -> Mailbox | None:
    asked = text(values, "recipient")
    return own_address(asked, "recipient") if asked else None


def _verified(request: HttpRequest, draft: Draft, recipient: Mailbox | None) -> Answer | HttpResponseBase:
    language = preferred_language(request)
    try:
        told = verify(draft, timezone.now(), recipient=recipient, by_key=True)
    except Busy as busy:
        raise Rejected(429, str(busy), headers={"Retry-After": "5"}) from None
    if EVENTS in request.headers.get("Accept", ""):
        return _stream(told, language)
    with closing(told):
        for item in told:
            if isinstance(item, Outcome):
                return Answer(_result(item, language), language=language)
    raise RuntimeError("a verification ends with its outcome")


def _stream(told: Iterator[Step | Outcome], language: str) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Language": language}
    return StreamingHttpResponse(_events(told, language), content_type=EVENTS, headers=headers)


def _events(told: Iterator[Step | Outcome], language: str) -> Iterator[bytes]:
    """The status is out once this begins: what fails now is an event too."""
    try:
        for item in told:
            if isinstance(item, Step):
                yield _event("step", item.as_json())
            else:
                yield _event("result", _result(item, language))
    except Exception as error:  # noqa: BLE001  logged there, and told without detail
        yield _event("problem", problem_of(error).body())


def _result(outcome: Outcome, language: str) -> dict[str, Any]:
    # Not around a yield: the language would leak into whatever the thread does in between.
    with translation.override(language):
        return as_json(outcome, words)


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + render(data) + b"\n\n"
