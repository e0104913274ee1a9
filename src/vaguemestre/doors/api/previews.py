"""Before a connection or the meaning of the default changes: what that would do. And undoing it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.deliverability.examination import Busy, Examination, examine
from vaguemestre.deliverability.wording import as_json
from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted, posted_if_any
from vaguemestre.doors.api.connections import saved_resource
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.ledger import connections, foresight, instance, undoing
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.previews import default_preview_resource, departure_resource, undoable_resource
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.errors import Invalid

router = Router(tags=["Connections"])
SCOPES = ("connections",)
ACTS = ("deactivate", "delete")


@endpoint(
    router.post,
    "/connections/{connection}/default-preview",
    "previewDefault",
    scopes=SCOPES,
    gives="DefaultPreview",
    repeatable=False,
)
def preview_default(request: HttpRequest, connection: str) -> Answer:
    """What would change if it became the default; nothing is changed. Texts by Accept-Language."""
    posted_if_any(request)
    found = connections.find(connection)
    preview = foresight.of_default(foresight.facts_of(found), timezone.now())
    examination = _examination(found)

    def body() -> dict[str, Any]:
        told = None if examination is None else as_json(examination)
        return default_preview_resource(preview) | {"deliverability": told}

    return in_preferred_language(request, body)


@endpoint(
    router.post,
    "/settings/preview",
    "previewSettings",
    scopes=("admin",),
    takes="ModeQuestion",
    gives="DefaultPreview",
    repeatable=False,
)
def preview_settings(request: HttpRequest) -> Answer:
    """What would change if the default sender meant that; nothing is changed, and DNS is not asked."""
    values = posted(request)
    known_only(values, "default_mode")
    preview = foresight.of_mode(instance.mode_of(values.get("default_mode")), timezone.now())
    return Answer(default_preview_resource(preview) | {"deliverability": None})


@endpoint(
    router.post,
    "/connections/{connection}/departure-preview",
    "previewDeparture",
    scopes=SCOPES,
    takes="DepartureQuestion",
    gives="DeparturePreview",
    repeatable=False,
)
def preview_departure(request: HttpRequest, connection: str) -> Answer:
    """What would become of its waiting messages and its streams; nothing is changed."""
    values = posted(request)
    known_only(values, "act", "successor")
    act = text(values, "act")
    if act not in ACTS:
        raise Refusal(Invalid("act", "act_unknown", "Choose deactivate or delete."))
    found, heir = connections.find(connection), _heir(text(values, "successor"))
    departure = foresight.of_departure(found, heir, deleted=act == "delete")
    return in_preferred_language(request, lambda: departure_resource(departure))


@endpoint(router.get, "/default-change", "getDefaultChange", scopes=SCOPES, gives="DefaultChange")
def get_default_change(request: HttpRequest) -> Answer:
    """The last change of the default sender, and whether it can be undone."""
    found = undoing.undoable(timezone.now())
    return in_preferred_language(request, lambda: undoable_resource(found))


@endpoint(router.post, "/default-change/undo", "undoDefaultChange", scopes=SCOPES, gives="SavedConnection")
def undo_default_change(request: HttpRequest) -> Answer:
    """Undo it, within 24 hours; 409 where things changed meanwhile."""
    posted_if_any(request)
    return Answer(saved_resource(undoing.undo(actor(request), timezone.now())))


def _examination(connection: Connection) -> Examination | None:
    """What DNS says of the sender's domain; None where too many ask at once."""
    try:
        return examine(connection, timezone.now().date(), resolvers=settings.ENVIRONMENT.resolvers)
    except Busy:
        return None


def _heir(named: str) -> Connection | None:
    try:
        return connections.find(named) if named else None
    except Missing as missing:
        raise Refusal(Invalid("successor", "successor_unknown", str(missing))) from None
