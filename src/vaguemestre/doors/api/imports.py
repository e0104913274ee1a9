"""Connections out of another program's configuration, pasted as it is."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.typed import flag, known_only, text
from vaguemestre.ledger.importing import create_all
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.resources import connection_resource
from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.imports.read import read
from vaguemestre.providers.imports.reading import Reading
from vaguemestre.providers.wording import found_resource, missed_resource
from vaguemestre.verification.wording import with_words

router = Router(tags=["Connections"])


@endpoint(
    router.post,
    "/connections/import",
    "importConnections",
    scopes=("connections",),
    takes="PastedConfiguration",
    gives="ImportedConnections",
)
def import_connections(request: HttpRequest, *, dry_run: bool = False) -> Answer:
    """Create the connections that a pasted configuration describes: a .env file, an SMTP URL, Django or
    WordPress settings, Postfix files. With `dry_run` nothing is created. All are created or none; inactive,
    unless `active` says otherwise; passwords are never part of the answer.
    """
    body = posted(request)
    known_only(body, "text", "kind", "active", "values")
    reading = read(text(body, "text"), text(body, "kind"))
    typed = _typed(reading, body)
    created = [] if dry_run else create_all(typed, actor(request), timezone.now())

    def told() -> dict[str, object]:
        return {
            "kind": reading.kind.value,
            "found": [found_resource(found) for found in reading.found],
            "not_understood": [missed_resource(line) for line in reading.unread],
            "created": [with_words(connection_resource(saved.connection)) for saved in created],
        }

    return in_preferred_language(request, told)


def _typed(reading: Reading, body: dict[str, object]) -> list[dict[str, object]]:
    """What is created of it, the caller's further values included."""
    if not reading.found:
        raise Refusal(Invalid("text", "import_empty", "There is no account for sending in this text."))
    further = body.get("values") or {}
    if not isinstance(further, dict):
        raise Refusal(Invalid("values", "not_object", "An object with fields of a connection is needed."))
    if further and len(reading.found) > 1:
        message = "The text has several connections: give values only for a text with one."
        raise Refusal(Invalid("values", "import_several", message))
    active = {"active": flag(body, "active", otherwise=False)}
    return [{**found.typed(), **active, **further} for found in reading.found]
