"""Connections over HTTP. The ledger validates; what is typed is passed through as it came."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted, posted_if_any
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.ledger import connections, departing
from vaguemestre.ledger.connections import LeaveNone, NoChoice, Promote, Saved, Successor
from vaguemestre.ledger.departing import Reassign
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.resources import connection_resource, lane_resource
from vaguemestre.mail.errors import Invalid
from vaguemestre.verification.wording import with_words

router = Router(tags=["Connections"])
SCOPES = ("connections",)
_SAYS_NONE = "none"


@endpoint(router.get, "/connections", "listConnections", scopes=SCOPES, gives="Connections")
def list_connections(_request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """All connections, by name."""
    return Answer(page(connections.all_connections(), _told, cursor, limit))


@endpoint(
    router.post,
    "/connections",
    "createConnection",
    scopes=SCOPES,
    takes="NewConnection",
    gives="SavedConnection",
    status=201,
)
def create_connection(request: HttpRequest) -> Answer:
    """Create a connection; it need not be verified."""
    return Answer(saved_resource(connections.create(posted(request), actor(request), timezone.now())), 201)


@endpoint(router.get, "/connections/{connection}", "getConnection", scopes=SCOPES, gives="ConnectionWithLane")
def get_connection(request: HttpRequest, connection: str) -> Answer:
    """One connection, by id or name, with what it is doing; texts by Accept-Language."""
    found = connections.find(connection)
    return in_preferred_language(
        request, lambda: _told(found) | {"lane": lane_resource(found, timezone.now())}
    )


@endpoint(
    router.patch,
    "/connections/{connection}",
    "changeConnection",
    scopes=SCOPES,
    takes="ConnectionChanges",
    gives="SavedConnection",
)
def change_connection(request: HttpRequest, connection: str) -> Answer:
    """Change the named fields; becoming the default names whom it demoted."""
    found = connections.find(connection)
    values = posted(request)
    successor = _posted_successor(values)
    values.pop("successor", None)
    return Answer(
        saved_resource(connections.edit(str(found.uid), values, actor(request), timezone.now(), successor))
    )


@endpoint(router.delete, "/connections/{connection}", "deleteConnection", scopes=SCOPES, status=204)
def delete_connection(
    request: HttpRequest, connection: str, successor: str = "", reassign: str = ""
) -> Answer:
    """Delete a connection and its secret; the default needs `successor`: an id, or `none`.

    What names it, such as streams, needs `reassign`: the connection it names then, or `none`.
    """
    found = connections.find(connection)
    chosen = _successor(None if successor == _SAYS_NONE else successor) if successor else NoChoice()
    to = Reassign(None if reassign == _SAYS_NONE else reassign) if reassign else None
    departing.delete(str(found.uid), actor(request), timezone.now(), chosen, to)
    return Answer(status=204)


@endpoint(
    router.post, "/connections/{connection}/pause", "pauseConnection", scopes=SCOPES, gives="SavedConnection"
)
def pause_connection(request: HttpRequest, connection: str) -> Answer:
    """Stop a connection's lane; its mail waits."""
    posted_if_any(request)
    uid = str(connections.find(connection).uid)
    return Answer(saved_resource(connections.pause(uid, actor(request), timezone.now())))


@endpoint(
    router.post,
    "/connections/{connection}/resume",
    "resumeConnection",
    scopes=SCOPES,
    gives="SavedConnection",
)
def resume_connection(request: HttpRequest, connection: str) -> Answer:
    """Let a paused, throttled or locked connection work again."""
    posted_if_any(request)
    uid = str(connections.find(connection).uid)
    return Answer(saved_resource(connections.resume(uid, actor(request), timezone.now())))


def _told(connection: Connection) -> dict[str, object]:
    return with_words(connection_resource(connection))


def saved_resource(saved: Saved) -> dict[str, object]:
    """A saved connection, whom it demoted, and whether it was verified."""
    return _told(saved.connection) | {
        "demoted": [str(connection.uid) for connection in saved.demoted],
        "unverified": saved.unverified,
    }


def _posted_successor(values: dict[str, object]) -> Successor:
    """`"successor": id or null`; absent is no choice."""
    if "successor" not in values:
        return NoChoice()
    return _successor(values["successor"])


def _successor(value: object) -> Successor:
    if value is None:
        return LeaveNone()
    try:
        return Promote(str(connections.find(value).uid)) if isinstance(value, str) else _no_successor()
    except Missing:
        return _no_successor()


def _no_successor() -> Successor:
    message = "Give the id of another active connection, or null for none."
    raise Refusal(Invalid("successor", "successor_unknown", message))
