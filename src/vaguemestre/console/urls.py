"""Addresses of the pages, one file for each family."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from vaguemestre.console import language

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="connections:index"), name="home"),
    path("language/", language.choose, name="language"),
    path("accounts/", include("vaguemestre.console.people.urls")),
    path("setup/", include("vaguemestre.console.setup.urls")),
    path("connections/", include("vaguemestre.console.connections.urls")),
    path("communications/", include("vaguemestre.console.communications.urls")),
    path("", include("vaguemestre.console.oauth2.urls")),
    path("messages/", include("vaguemestre.console.messages.urls")),
    path("source-addresses/", include("vaguemestre.console.source_addresses.urls")),
    path("templates/", include("vaguemestre.console.mail_templates.urls")),
    path("forms/", include("vaguemestre.console.web_forms.urls")),
    path("findings/", include("vaguemestre.console.findings.urls")),
    path("people/", include("vaguemestre.console.people.member_urls")),
    path("keys/", include("vaguemestre.console.keys.urls")),
    path("u/", include("vaguemestre.console.unsubscribing.urls")),
    path("sending/", include("vaguemestre.console.sending.urls")),
    path("settings/", include("vaguemestre.console.settings.urls")),
]
