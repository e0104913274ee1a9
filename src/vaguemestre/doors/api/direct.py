"""The API's requests, past what only people's pages need.

Middleware, after `visitor` alone. A request below `/api/` is known by its key alone (RFC 6750): neither
session nor cookie says who asks, so no CSRF check could say more, and the texts are English unless an
operation looks at `Accept-Language` itself. It goes straight to its operation, whose answer carries what
Django's own middlewares put on every page: the same security headers, `Content-Length`, `Vary`. Its Host must
be ours as a page's must. What fails is answered as a problem (`problems`, `fallback`). All other requests go
the usual way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from django.core.handlers.exception import convert_exception_to_response
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, resolve

from vaguemestre.doors.api.problems import not_found

PREFIX = "/api/"

type Next = Callable[[HttpRequest], HttpResponseBase]


class Direct:
    """Middleware: see the module."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        # As Django wraps every middleware; awaitable only where what it wraps is.
        self.answer = cast("Next", convert_exception_to_response(_answer))
        self.guards = {**_security_headers(), "Vary": "Accept-Language"}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The operation's answer, or whatever the next middleware has."""
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        response = self.answer(request)
        for name, value in self.missing(response):
            response.headers[name] = value
        return response

    def missing(self, response: HttpResponseBase) -> list[tuple[str, str]]:
        """The headers of every page that an answer does not have yet."""
        given = {name.lower() for name, _ in response.items()}
        found = [guard for guard in self.guards.items() if guard[0].lower() not in given]
        if isinstance(response, HttpResponse) and "content-length" not in given:
            found.append(("Content-Length", str(len(response.content))))
        return found


def _answer(request: HttpRequest) -> HttpResponseBase:
    request.get_host()  # raises DisallowedHost
    try:
        found = _found(request.path_info)
    except Http404:
        return not_found(request)
    request.resolver_match = found
    response: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
    return response


@lru_cache(maxsize=64)  # nearly all requests go to the same few addresses
def _found(path: str) -> ResolverMatch:
    return resolve(path)


def _security_headers() -> dict[str, str]:
    """What Django's middlewares put on an answer; with our settings they look at no request for it."""
    request, answer = HttpRequest(), HttpResponse()
    for guard in (SecurityMiddleware, ContentSecurityPolicyMiddleware, XFrameOptionsMiddleware):
        guard(lambda _request: answer).process_response(request, answer)
    del answer.headers["Content-Type"]
    return dict(answer.headers)
