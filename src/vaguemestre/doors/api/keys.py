"""API keys over HTTP: a key is shown once, in the answer that creates it."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.doors.api.typed import flag, known_only, text, texts
from vaguemestre.ledger import keys

router = Router(tags=["Keys"])
SCOPES = ("admin",)


@endpoint(router.get, "/keys", "listKeys", scopes=SCOPES, gives="Keys")
def list_keys(_request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """All keys, the newest first, revoked ones too."""
    return Answer(page(keys.all_keys(), keys.resource, cursor, limit))


# The key must not be kept: an answer with it is not remembered for an Idempotency-Key.
@endpoint(
    router.post,
    "/keys",
    "createKey",
    scopes=SCOPES,
    takes="NewKey",
    gives="CreatedKey",
    status=201,
    repeatable=False,
)
def create_key(request: HttpRequest) -> Answer:
    """Create a key; its text is in this answer and nowhere else."""
    values = posted(request)
    known_only(values, "name", "scopes", "streams", "senders", "networks", "dsn")
    key, shown_once = keys.create(
        text(values, "name"),
        texts(values, "scopes"),
        actor(request),
        timezone.now(),
        streams=texts(values, "streams"),
        senders=texts(values, "senders"),
        networks=texts(values, "networks"),
        dsn=flag(values, "dsn", otherwise=True),
    )
    return Answer(keys.resource(key) | {"key": shown_once}, 201)


@endpoint(router.delete, "/keys/{key}", "revokeKey", scopes=SCOPES, gives="Key")
def revoke_key(request: HttpRequest, key: str) -> Answer:
    """Make a key worthless, for good."""
    return Answer(keys.resource(keys.revoke(key, actor(request), timezone.now())))
