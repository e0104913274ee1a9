"""Providers over HTTP: what is known of each, and which one an address belongs to."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from ninja import Router

from vaguemestre.dialling import discovery_from
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page
from vaguemestre.doors.api.problems import Rejected
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.providers.discovery import Busy, recognise
from vaguemestre.providers.preset import presets
from vaguemestre.providers.wording import preset_resource, proposal_resource

router = Router(tags=["Providers"])
SCOPES = ("connections",)


@endpoint(router.get, "/providers", "listProviders", scopes=SCOPES, gives="Providers")
def list_providers(request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """What is known of each provider, by label; hints by Accept-Language."""
    known = list(presets().values())
    return in_preferred_language(request, lambda: page(known, preset_resource, cursor, limit))


@endpoint(
    router.post,
    "/providers/recognise",
    "recogniseProvider",
    scopes=SCOPES,
    takes="SenderToRecognise",
    gives="Recognition",
    repeatable=False,
)
def recognise_provider(request: HttpRequest) -> Answer:
    """Propose settings for an address, and say why; texts by Accept-Language."""
    values = posted(request)
    known_only(values, "sender_email")
    try:
        found = recognise(text(values, "sender_email"), discovery_from(settings.ENVIRONMENT))
    except Busy as busy:
        raise Rejected(429, str(busy), headers={"Retry-After": "5"}) from None
    return in_preferred_language(request, lambda: proposal_resource(found))
