"""Addresses of the page of people."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.people import members

app_name = "people"
urlpatterns = [
    path("", members.index, name="index"),
    path("alerts/", members.alerts, name="alerts"),
    path("<str:key>/invite/", members.invite, name="invite"),
    path("<str:key>/let-in/", members.let_in, name="let_in"),
]
