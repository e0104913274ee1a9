"""The forms as a Django app: where its pages are found."""

from __future__ import annotations

from django.apps import AppConfig


class FormsConfig(AppConfig):
    """The app."""

    name = "vaguemestre.doors.forms"
    label = "forms"
