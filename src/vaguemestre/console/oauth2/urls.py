"""Addresses of the pages about OAuth 2.0."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.oauth2 import views

app_name = "oauth2"
urlpatterns = [
    path("oauth2/callback/", views.callback, name="callback"),
    path("connections/<uuid:uid>/oauth2/", views.choose, name="choose"),
    path("connections/<uuid:uid>/oauth2/connect/", views.connect, name="connect"),
    path("connections/<uuid:uid>/oauth2/leave/", views.leave, name="leave"),
    path("connections/<uuid:uid>/oauth2/check/", views.check, name="check"),
    path("connections/<uuid:uid>/oauth2/<slug:slug>/", views.guide, name="guide"),
]
