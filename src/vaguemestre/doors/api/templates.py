"""Templates over HTTP: the stored ones and the starters, and what they make of data."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.doors.api.typed import known_only, mapping, text
from vaguemestre.ledger import templates

router = Router(tags=["Templates"])
READERS = ("send", "read", "admin")
WRITERS = ("admin",)
_ONE = "/templates/{key}/{language}"


@endpoint(router.get, "/templates", "listTemplates", scopes=READERS, gives="Templates")
def list_templates(_request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """All templates, the stored ones in the place of their starters."""
    return Answer(page(templates.all_templates(), templates.resource, cursor, limit))


# Before the ones of a language, which `render` is none of.
@endpoint(
    router.post,
    "/templates/{key}/render",
    "renderTemplate",
    scopes=READERS,
    takes="TemplateQuestion",
    gives="RenderedTemplate",
    repeatable=False,
)
def render_template(request: HttpRequest, key: str) -> Answer:
    """What a message with this template and data would say; nothing is sent."""
    values = posted(request)
    known_only(values, "data", "language", "stream")
    made = templates.render(key, text(values, "language"), mapping(values, "data"), text(values, "stream"))
    return Answer({"subject": made.subject, "text": made.text, "html": made.html, "language": made.language})


@endpoint(router.get, _ONE, "getTemplate", scopes=READERS, gives="Template")
def get_template(_request: HttpRequest, key: str, language: str, stream: str = "") -> Answer:
    """One template; with `stream` the one that the stream has for itself."""
    return Answer(templates.resource(templates.find(key, language, stream)))


@endpoint(router.put, _ONE, "saveTemplate", scopes=WRITERS, takes="NewTemplate", gives="Template")
def save_template(request: HttpRequest, key: str, language: str) -> Answer:
    """Store a template in place of what was there; faults are told with their line."""
    return Answer(
        templates.resource(templates.save(key, language, posted(request), actor(request), timezone.now()))
    )


@endpoint(router.delete, _ONE, "deleteTemplate", scopes=WRITERS, status=204)
def delete_template(request: HttpRequest, key: str, language: str, stream: str = "") -> Answer:
    """Delete a stored template; a starter behind it takes its place again."""
    templates.delete(key, language, stream, actor(request), timezone.now())
    return Answer(status=204)
