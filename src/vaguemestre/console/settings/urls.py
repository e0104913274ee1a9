"""Addresses of the settings pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.settings import views, weekly_report

app_name = "settings"
urlpatterns = [
    path("", views.index, name="index"),
    path("preview/", views.preview, name="preview"),
    path("weekly-report/", weekly_report.index, name="weekly_report"),
    path("weekly-report/now/", weekly_report.send_now, name="weekly_report_now"),
]
