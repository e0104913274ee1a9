"""The web UI as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Pages, templates, static files and translations."""

    name = "vaguemestre.console"
    label = "console"
