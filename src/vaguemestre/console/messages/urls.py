"""Addresses of the messages' pages."""

from __future__ import annotations

from django.urls import path

from vaguemestre.console.messages import acts, invoices, many, views

app_name = "messages"
urlpatterns = [
    path("", views.index, name="index"),
    path("invoices/", invoices.index, name="invoices"),
    path("held/<str:act>/", many.decide, name="many"),
    path("<uuid:uid>/", views.detail, name="detail"),
    path("<uuid:uid>/release/", acts.release, name="release"),
    path("<uuid:uid>/cancel/", acts.cancel, name="cancel"),
    path("<uuid:uid>/resend/", acts.resend, name="resend"),
    path("<uuid:uid>/resolve/", acts.resolve, name="resolve"),
]
