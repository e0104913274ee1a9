"""Addresses of the first run."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.setup import views

app_name = "setup"
urlpatterns = [
    path("", views.first_run, name="first_run"),
    path("<str:token>/", views.first_administrator, name="administrator"),
]
