"""What Django itself answers before or behind a view: a problem for the API, a page for people."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults

from vaguemestre.doors.api.problems import Problem, problem_of
from vaguemestre.doors.api.rooms import Full
from vaguemestre.ledger.database import AWAY

_API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a host that is not ours, a header that cannot be, a broken body; 503: no room for one."""
    if isinstance(exception, Full) and not request.path.startswith(_API):
        response = defaults.bad_request(request, exception)
        response.status_code, response.headers["Retry-After"] = 503, str(exception.after)
        # Django would log it as an error of ours, with its traceback.
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response
    if request.path.startswith(_API):
        return Problem(400, "The request could not be read; is its Host the one of this server?").response()
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: what no view caught; 503: the database did not answer, which passes."""
    error = sys.exception()
    if isinstance(error, AWAY):
        return _away(request, error)
    if request.path.startswith(_API):
        return Problem(500, "Something went wrong here; the operator's log says what.").response()
    return defaults.server_error(request)


def _away(request: HttpRequest, error: Exception) -> HttpResponse:
    """As a view of the API answers it; for people a page that asks nothing of the database."""
    problem = problem_of(error)
    if request.path.startswith(_API):
        return problem.response()
    page = render_to_string("503.html", {"code": problem.code})
    return HttpResponse(page, status=problem.status, headers=problem.headers)
