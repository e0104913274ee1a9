"""Addresses of the connections' pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.connections import (
    consequences,
    deliverability,
    departure,
    editing,
    importing,
    lane,
    listing,
    pinning,
    providing,
    trying,
    verifying,
)

app_name = "connections"
urlpatterns = [
    path("", listing.index, name="index"),
    path("new/", editing.new, name="new"),
    path("verify/", verifying.verify, name="verify"),
    path("pin/", pinning.pin, name="pin"),
    path("import/", importing.paste, name="import"),
    path("import/choose/", importing.choose, name="import_choose"),
    path("provider/", providing.choose, name="provider"),
    path("provider/fill/", providing.fill, name="fill"),
    path("provider/propose/", providing.propose, name="propose"),
    path("default/preview/", consequences.preview, name="default_preview"),
    path("default/vouching/", consequences.vouching, name="vouching"),
    path("default/undo/", consequences.undo, name="undo"),
    path("<uuid:uid>/", editing.edit, name="edit"),
    path("<uuid:uid>/deliverability/", deliverability.index, name="deliverability"),
    path("<uuid:uid>/deliverability/examine/", deliverability.examine_domain, name="examine"),
    path("<uuid:uid>/deliverability/results/", deliverability.read_results, name="results"),
    path("<uuid:uid>/lane/", lane.lane, name="lane"),
    path("<uuid:uid>/test/", trying.send, name="test"),
    path("<uuid:uid>/test/<uuid:message>/", trying.follow, name="trial"),
    path("<uuid:uid>/active/", listing.switch, name="switch"),
    path("<uuid:uid>/default/", consequences.name_default, name="default"),
    path("<uuid:uid>/pause/", listing.pause, name="pause"),
    path("<uuid:uid>/resume/", listing.resume, name="resume"),
    path("<uuid:uid>/deactivate/", departure.deactivate, name="deactivate"),
    path("<uuid:uid>/delete/", departure.delete, name="delete"),
]
