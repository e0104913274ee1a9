"""Every web address of the product: health, API, forms, login, console."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("vaguemestre.doors.api.urls")),
    path("f/", include("vaguemestre.doors.forms.urls")),
    path("", include("vaguemestre.console.urls")),
]

handler400 = "vaguemestre.doors.api.fallback.bad_request"
handler500 = "vaguemestre.doors.api.fallback.server_error"
