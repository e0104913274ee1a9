"""Messages over HTTP: hand one over, many, or one in its own bytes; look at them; decide about them.

202 means committed and fsynced (L5). A key with the scope `send` sees its own messages only.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from vaguemestre.doors.api.auth import actor, has_scope, limited_to, submitter
from vaguemestre.doors.api.batch import BATCH_LIMIT, accept_batch
from vaguemestre.doors.api.body import posted, posted_if_any, posted_messages, raw_body, refuse_unstorable
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.lists import MOST, USUAL, position
from vaguemestre.doors.api.posted_message import submission_of
from vaguemestre.doors.api.typed import known_only, objects, text, texts
from vaguemestre.ledger import connections, messages
from vaguemestre.ledger.accept import Submission, Via
from vaguemestre.ledger.gathering import take
from vaguemestre.ledger.models import ApiKey, Message
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.resources import accepted_summary, message_resource, message_row, message_summary
from vaguemestre.mail.compose import Bodies
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import RECIPIENT_LIMIT, UNNAMED, Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.state import DeliveryState
from vaguemestre.policy.routing import is_allowed

router = Router(tags=["Messages"])
RAW = "message/rfc822"
_RAW_BODY: dict[str, Any] = {
    "requestBody": {"content": {RAW: {"schema": {"type": "string", "format": "binary"}}}, "required": True}
}


class RawQuery(Schema):
    """What goes with a message in its own bytes."""

    to: list[str] = Field([], description="Recipients; without any, those of the headers.")
    sender: str | None = Field(None, alias="from", description="The reverse-path; empty for the null one.")
    stream: str = ""
    connection: str = ""
    on_doubt: str = ""


class ListQuery(Schema):
    """Which messages to list, and where the page begins."""

    state: str = ""
    stream: str = ""
    connection: str = ""
    search: str = Field("", max_length=200)
    limit: int = Field(USUAL, ge=1, le=MOST)
    cursor: str = Field("", max_length=18)


@endpoint(
    router.post,
    "/messages",
    "sendMessage",
    scopes=("send",),
    takes="NewMessage",
    gives="AcceptedMessage",
    status=202,
)
def send_message(request: HttpRequest) -> Answer:
    """Hand a message over; 202 means that it is kept for good."""
    values, suspect = posted_messages(request)
    if suspect:
        refuse_unstorable(values)
    submission = submission_of(values, submitter(request), Bodies(checked=not suspect))
    return Answer(accepted_summary(take(submission, timezone.now())), 202)


@endpoint(
    router.post,
    "/messages/batch",
    "sendMessages",
    scopes=("send",),
    takes="NewMessages",
    gives="AcceptedMessages",
    status=202,
)
def send_messages(request: HttpRequest) -> Answer:
    """Hand up to 1000 messages over in one transaction; one result or problem each, in order."""
    values, suspect = posted_messages(request)
    known_only(values, "messages")
    batch = objects(values, "messages", BATCH_LIMIT, least=1)
    return Answer(accept_batch(batch, submitter(request), timezone.now(), suspect=suspect), 202)


@endpoint(
    router.post,
    "/messages/raw",
    "sendRawMessage",
    scopes=("send",),
    gives="AcceptedMessage",
    status=202,
    documented=_RAW_BODY,
)
def send_raw_message(request: HttpRequest, query: Query[RawQuery]) -> Answer:
    """Hand over a message in its own bytes; the envelope from `from` and `to`, or from its headers."""
    raw = raw_body(request, RAW, settings.ENVIRONMENT.max_message_bytes)
    try:
        content = Content(raw)
        envelope = _envelope(content, query.sender, query.to)
    except Invalid as fault:
        raise Refusal(fault) from None
    _permitted_path(submitter(request), envelope.reverse_path)
    submission = Submission(
        envelope,
        content,
        Via.API,
        submitter(request),
        query.stream or None,
        query.connection or None,
        on_doubt=query.on_doubt,
    )
    return Answer(accepted_summary(take(submission, timezone.now())), 202)


@endpoint(router.get, "/messages", "listMessages", scopes=("read", "send"), gives="Messages")
def list_messages(request: HttpRequest, query: Query[ListQuery]) -> Answer:
    """Messages, the latest first; with the scope `send` alone, one's own."""
    if query.state and query.state not in {*DeliveryState}:
        raise Refusal(Invalid("state", "state_unknown", f"Choose one of: {', '.join(DeliveryState)}."))
    position(query.cursor)
    wanted = messages.Filter(
        query.state, query.search, query.stream, _connection_key(query.connection), limited_to(request)
    )
    found = messages.listing(wanted, query.cursor or None, query.limit)
    return Answer({"items": [message_row(message) for message in found.items], "next": found.next})


@endpoint(router.get, "/messages/{message}", "getMessage", scopes=("read", "send"), gives="Message")
def get_message(request: HttpRequest, message: str) -> Answer:
    """A message with its deliveries, when each leaves, and attempts; texts by Accept-Language."""
    found = messages.find(message, limited_to(request))
    return in_preferred_language(request, lambda: message_resource(found, timezone.now()))


@endpoint(
    router.post, "/messages/{message}/release", "releaseMessage", scopes=("send", "admin"), gives="Message"
)
def release_message(request: HttpRequest, message: str) -> Answer:
    """Route what waits, now."""
    posted_if_any(request)
    return _shown(messages.release(_decidable(request, message), actor(request), timezone.now()))


@endpoint(
    router.post, "/messages/{message}/cancel", "cancelMessage", scopes=("send", "admin"), gives="Message"
)
def cancel_message(request: HttpRequest, message: str) -> Answer:
    """End what has not left."""
    posted_if_any(request)
    return _shown(messages.cancel(_decidable(request, message), actor(request), timezone.now()))


@endpoint(
    router.post,
    "/messages/{message}/resolve",
    "resolveMessage",
    scopes=("send", "admin"),
    takes="Resolution",
    gives="Message",
)
def resolve_message(request: HttpRequest, message: str) -> Answer:
    """Decide about deliveries in doubt: they arrived, or are sent again."""
    uid = _decidable(request, message)
    values = posted(request)
    known_only(values, "outcome", "recipients", "attempt")
    resolved = messages.resolve(
        uid,
        text(values, "outcome"),
        actor(request),
        timezone.now(),
        recipients=texts(values, "recipients"),
        attempt=text(values, "attempt") or None,
    )
    return _shown(resolved)


@endpoint(
    router.post,
    "/messages/{message}/resend",
    "resendMessage",
    scopes=("send", "admin"),
    gives="AcceptedMessage",
    status=202,
)
def resend_message(request: HttpRequest, message: str) -> Answer:
    """Hand the same content over again, as a new message linked to this one."""
    posted_if_any(request)
    uid, key = _decidable(request, message), submitter(request)
    again = messages.resend(uid, actor(request), timezone.now(), key)
    return Answer(message_summary(again), 202)


def _envelope(content: Content, sender: str | None, to: list[str]) -> Envelope:
    if to:
        named = tuple(Mailbox.parse(address, f"to[{place}]") for place, address in enumerate(to))
    else:
        fields = [box for name in ("To", "Cc", "Bcc") for box in content.mailboxes(name, RECIPIENT_LIMIT)]
        named = tuple(box.mailbox for box in fields)
    return Envelope.to_each(_reverse_path(content, sender), named)


def _reverse_path(content: Content, sender: str | None) -> Mailbox | None:
    """What `from` says; an empty one is the null reverse-path."""
    if sender is not None:
        return Mailbox.parse(sender, "from") if sender else None
    named = content.mailboxes("From", RECIPIENT_LIMIT)
    return named[0].mailbox if named else UNNAMED


def _permitted_path(key: ApiKey, path: Mailbox | None) -> None:
    """The reverse-path, as the header's From, must be one that the key may use."""
    if path is None or path == UNNAMED or not key.senders:
        return
    if not is_allowed(path, key.senders):
        raise Refusal(Invalid("from", "sender_not_allowed", f"This key may not send as {path}."))


def _connection_key(asked: str) -> int | None:
    try:
        return connections.find(asked).pk if asked else None
    except Missing as missing:
        raise Refusal(Invalid("connection", "connection_unknown", str(missing))) from None


def _decidable(request: HttpRequest, uid: str) -> str:
    """The id of a message that the key may decide about: with `admin` any, else its own."""
    owner = None if has_scope(request, "admin") else submitter(request)
    return str(messages.find(uid, owner).uid)


def _shown(message: Message) -> Answer:
    return Answer(message_resource(message, timezone.now()))
