"""Addresses of the applications' pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.keys import views

app_name = "keys"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("<uuid:uid>/revoke/", views.revoke, name="revoke"),
]
