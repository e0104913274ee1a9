"""Address of the page that recipients reach."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.unsubscribing import views

app_name = "unsubscribing"
urlpatterns = [path("<str:token>", views.unsubscribe, name="index")]
