"""Streams over HTTP."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.ledger import streams
from vaguemestre.ledger.resources import stream_resource

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
