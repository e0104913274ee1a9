"""The WSGI application, with a short way for messages that are handed over.

A request to one of the addresses in `PATHS` goes to `Direct` at once, and its answer to the server as one
piece: nothing of it needs Django's signals around a request, of which only one does something here, and the
server is spared an iterator and a turn of the interpreter. All other requests go Django's way.

Whichever way a request goes, its body is read whole or refused, and where there is room for it (`arrival`).

Promises: the same answers as by Django's way; database connections that are broken are dropped before and
after each request, as its signals would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse

from vaguemestre.doors.api.arrival import arriving
from vaguemestre.doors.api.company import requests
from vaguemestre.doors.api.direct import Direct
from vaguemestre.doors.visitor import locate

PATHS = frozenset({"/api/v1/messages", "/api/v1/messages/batch", "/api/v1/messages/raw"})

_TYPE = 1_000  # characters of a Content-Type

type Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Intake:
    """See the module.

    Args:
        django: what serves all other requests.
    """

    def __init__(self, django: Application) -> None:
        self._django = django
        self._direct = Direct(_elsewhere)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """PEP 3333."""
        if len(environ.get("CONTENT_TYPE", "")) > _TYPE:
            environ["CONTENT_TYPE"] = "?"  # which nothing takes; Django could make no request of so much
        body = arriving(environ)
        try:
            return self._answered(environ, start)
        finally:
            if body is not None:
                body.leave()

    def _answered(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in PATHS:
            return self._django(environ, start)
        locate(environ)
        close_old_connections()
        try:
            with requests.joined():
                response = cast("HttpResponse", self._direct.answer(WSGIRequest(environ)))
        finally:
            close_old_connections()
        headers = [*response.items(), *self._direct.missing(response)]
        start(f"{response.status_code} {response.reason_phrase}", headers)
        return [response.content]


def _elsewhere(request: HttpRequest) -> HttpResponse:
    raise LookupError(f"{request.path_info} is not an address of the API")
