"""Streams over HTTP."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.ledger import streams, unsubscribing
from vaguemestre.ledger.models import OptOut
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.resources import stream_resource
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox

router = Router(tags=["Streams"])
SCOPES = ("connections",)


@endpoint(router.get, "/streams", "listStreams", scopes=SCOPES, gives="Streams")
def list_streams(_request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """All streams, the built-in ones first."""
    return Answer(page(streams.all_streams(), stream_resource, cursor, limit))


@endpoint(
    router.post, "/streams", "createStream", scopes=SCOPES, takes="NewStream", gives="Stream", status=201
)
def create_stream(request: HttpRequest) -> Answer:
    """Create a stream of one's own."""
    return Answer(stream_resource(streams.create(posted(request), actor(request), timezone.now())), 201)


@endpoint(router.get, "/streams/{key}", "getStream", scopes=SCOPES, gives="Stream")
def get_stream(_request: HttpRequest, key: str) -> Answer:
    """One stream."""
    return Answer(stream_resource(streams.find(key)))


@endpoint(
    router.patch, "/streams/{key}", "changeStream", scopes=SCOPES, takes="StreamChanges", gives="Stream"
)
def change_stream(request: HttpRequest, key: str) -> Answer:
    """Change the named fields; the key stays."""
    return Answer(stream_resource(streams.edit(key, posted(request), actor(request), timezone.now())))


@endpoint(router.delete, "/streams/{key}", "deleteStream", scopes=SCOPES, status=204)
def delete_stream(request: HttpRequest, key: str) -> Answer:
    """Delete a stream of one's own that no message refers to."""
    streams.delete(key, actor(request), timezone.now())
    return Answer(status=204)


@endpoint(router.get, "/streams/{key}/opt-outs", "listOptOuts", scopes=SCOPES, gives="OptOuts")
def list_opt_outs(_request: HttpRequest, key: str, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """Who unsubscribed from a stream, the latest first; of very many the latest."""
    found = unsubscribing.of_stream(streams.find(key), unsubscribing.LISTED)
    return Answer(page(found, _opt_out, cursor, limit))


@endpoint(
    router.post, "/streams/{key}/opt-outs", "addOptOut", scopes=SCOPES, takes="NewOptOut", gives="OptOut"
)
def add_opt_out(request: HttpRequest, key: str) -> Answer:
    """Note an address that wants no more of a stream, such as one from another program's list."""
    values = posted(request)
    known_only(values, "address")
    try:
        address = Mailbox.parse(text(values, "address"), "address").key
    except Invalid as fault:
        raise Refusal(fault) from None
    wanted = unsubscribing.Subscription(streams.find(key), address)
    return Answer(_opt_out(unsubscribing.unsubscribe(wanted, timezone.now())))


@endpoint(router.delete, "/streams/{key}/opt-outs/{address}", "deleteOptOut", scopes=SCOPES, status=204)
def delete_opt_out(_request: HttpRequest, key: str, address: str) -> Answer:
    """Subscribe an address again, at its owner's wish."""
    if not unsubscribing.subscribe_again(streams.find(key), address):
        raise Missing("address", address)
    return Answer(status=204)


def _opt_out(found: OptOut) -> dict[str, object]:
    return {"address": found.address, "at": found.at}
