"""Address of the settings page."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.settings import views

app_name = "settings"
urlpatterns = [path("", views.index, name="index")]
