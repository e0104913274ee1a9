"""What is set for the whole installation: its visible settings, its source addresses."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.schemas import EXPORT_FORM
from vaguemestre.doors.api.typed import known_only, objects, text
from vaguemestre.ledger import instance, sightings, source_addresses

router = Router(tags=["Configuration"])
ADMIN = ("admin",)
CONNECTIONS = ("connections",)


@endpoint(router.get, "/settings", "getSettings", scopes=ADMIN, gives="Settings")
def get_settings(_request: HttpRequest) -> Answer:
    """What a default connection does."""
    return Answer(instance.settings())


@endpoint(
    router.patch, "/settings", "changeSettings", scopes=ADMIN, takes="SettingsChanges", gives="Settings"
)
def change_settings(request: HttpRequest) -> Answer:
    """Change the named settings."""
    return Answer(instance.change_settings(posted(request), actor(request), timezone.now()))


@endpoint(router.get, "/source-addresses", "getSourceAddresses", scopes=CONNECTIONS, gives="SourceAddresses")
def get_source_addresses(_request: HttpRequest) -> Answer:
    """The addresses that mail leaves from, and those that servers saw."""
    return Answer(source_addresses.resource())


@endpoint(
    router.get,
    "/source-addresses/export",
    "exportSourceAddresses",
    scopes=CONNECTIONS,
    gives="SourceAddressExport",
    documented={"parameters": [EXPORT_FORM]},
)
def export_source_addresses(request: HttpRequest) -> Answer:
    """The list of today, in the form that its reader wants."""
    return Answer(source_addresses.export(request.GET.get("format", "plain"), timezone.now().date()))


@endpoint(
    router.delete,
    "/source-addresses/sightings/{sighting}",
    "forgetSighting",
    scopes=CONNECTIONS,
    status=204,
)
def forget_sighting(_request: HttpRequest, sighting: int) -> Answer:
    """Forget that a server saw an address, until it sees it again."""
    sightings.forget(sighting)
    return Answer(status=204)


@endpoint(
    router.put,
    "/source-addresses",
    "replaceSourceAddresses",
    scopes=CONNECTIONS,
    takes="NewSourceAddresses",
    gives="SourceAddresses",
)
def replace_source_addresses(request: HttpRequest) -> Answer:
    """Replace the list."""
    values = posted(request)
    known_only(values, "items")
    items = objects(values, "items", source_addresses.MOST)
    for position, item in enumerate(items):
        within = f"items[{position}]."
        known_only(item, *source_addresses.FIELDS, "last_seen_at", within=within)
        for name in source_addresses.FIELDS:
            text(item, name, within)
    source_addresses.replace(items, actor(request), timezone.now())
    return Answer(source_addresses.resource())
