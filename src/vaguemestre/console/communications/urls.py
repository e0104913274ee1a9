"""Addresses of the streams' pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.communications import views

app_name = "communications"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("explain/", views.explain, name="explain"),
    path("<slug:key>/", views.edit, name="edit"),
    path("<slug:key>/subscribe/", views.subscribe_again, name="subscribe"),
    path("<slug:key>/delete/", views.delete, name="delete"),
]
