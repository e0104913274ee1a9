"""Addresses of the API and of what watches over the installation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, path, re_path

from vaguemestre.doors.api.api import api
from vaguemestre.doors.api.health import healthz, readyz
from vaguemestre.doors.api.metrics import metrics
from vaguemestre.doors.api.problems import Problem, not_found

type Handler = Callable[..., HttpResponseBase]


def _with_problems(patterns: Iterable[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """Ninja answers a wrong method by itself, in plain text, and its root with Django's page."""
    found = list(patterns)
    for pattern in found:
        if isinstance(pattern, URLPattern):
            pattern.callback = _answering_methods(pattern.callback)
    return found


def _answering_methods(view: Handler) -> Handler:
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: object, **values: object) -> HttpResponseBase:
        try:
            response = view(request, *args, **values)
        except Http404:
            return not_found(request)
        if response.status_code != 405:
            return response
        allowed = {"Allow": response.headers.get("Allow", "")}
        return Problem(405, f"The method {request.method} is not taken here.", headers=allowed).response()

    return answer


_operations, _app, _namespace = api.urls
urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/v1/", (_with_problems(_operations), _app, _namespace)),
    re_path(r"^api(?:/.*)?$", not_found),
]
