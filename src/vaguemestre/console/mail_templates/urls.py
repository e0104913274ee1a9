"""Addresses of the templates' pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.mail_templates import showing, views

app_name = "mail_templates"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("shown/<str:token>/", showing.shown, name="shown"),
    path("<slug:key>/<str:language>/", views.edit, name="edit"),
    path("<slug:key>/<str:language>/delete/", views.delete, name="delete"),
]
