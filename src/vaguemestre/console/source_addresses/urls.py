"""Address of the whitelist page."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.source_addresses import views

app_name = "source_addresses"
urlpatterns = [
    path("", views.index, name="index"),
    path("edit/", views.edit, name="edit"),
    path("export/<slug:form>/", views.export, name="export"),
    path("forget/<int:number>/", views.forget, name="forget"),
]
