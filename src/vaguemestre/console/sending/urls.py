"""Addresses of the page on which all of sending is paused and resumed."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.sending import views

app_name = "sending"
urlpatterns = [
    path("", views.index, name="index"),
    path("pause/", views.pause, name="pause"),
    path("resume/", views.resume, name="resume"),
    path("cancel/", views.cancel, name="cancel"),
]
