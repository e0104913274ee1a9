"""Addresses that visitors of websites reach."""

from __future__ import annotations

from django.urls import path

from vaguemestre.doors.forms import views

app_name = "forms"
urlpatterns = [
    path("<str:key>", views.form_itself, name="form"),
    path("<str:key>/token", views.token, name="token"),
    path("<str:key>/thanks", views.thanks, name="thanks"),
]
