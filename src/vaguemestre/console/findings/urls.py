"""Addresses of the pages about findings."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.findings import views

app_name = "findings"
urlpatterns = [path("", views.index, name="index"), path("<slug:code>/", views.detail, name="detail")]
