"""Addresses of the pages about forms."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.web_forms import views

app_name = "web_forms"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("<slug:key>/", views.edit, name="edit"),
    path("<slug:key>/markup/", views.markup, name="markup"),
    path("<slug:key>/submissions/", views.submissions, name="submissions"),
    path("<slug:key>/submissions/csv/", views.csv, name="csv"),
    path("<slug:key>/submissions/<uuid:uid>/delete/", views.forget, name="forget"),
    path("<slug:key>/delete/", views.delete, name="delete"),
]
