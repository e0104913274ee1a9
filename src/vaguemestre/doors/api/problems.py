"""Errors as RFC 9457 problems: one place where every refusal becomes an answer.

Promises: always `application/problem+json`, never HTML; `errors` names the fields; a failure of ours is
logged and answered without detail. Texts are English.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja.errors import HttpError, ValidationError

from vaguemestre.doors.api.arrival import BrokenOff
from vaguemestre.doors.api.rendering import LANGUAGE, render
from vaguemestre.doors.api.rooms import Full
from vaguemestre.ledger import storing
from vaguemestre.ledger.idempotency import InProgress, KeyReused
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.ledger.vault import KeyMissing, Unreadable
from vaguemestre.mail.errors import Invalid

MEDIA_TYPE = "application/problem+json"
KEY_WANTED = {"WWW-Authenticate": 'Bearer realm="vaguemestre"'}  # goes with 401 (RFC 9110 §11.6.1)
_STATUS = {"message_size": 413, "key_revoked": 401}  # of refusals; 422 for all others
_UNAVAILABLE = {
    "": "The database does not answer; nothing was stored. Try again.",
    "disk_full": "The disk of the database is full; nothing was stored. Try again when there is room on it.",
    "not_writable": "The database takes no writes; nothing was stored. Try again when it does.",
    "no_connection_left": "The database has no connection left for this; nothing was stored. Try again.",
    "damaged": "The file of the database is damaged; nothing was stored. Try again when it is restored.",
}
_AT_FIELD = {"successor_needed": "successor", "stale_attempt": "attempt"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Problem:
    """What is wrong, as RFC 9457 §3.1 has it.

    Attributes:
        status: the HTTP status.
        detail: one English sentence.
        code: stable name of the refusal, where the ledger has one.
        errors: (field, message) of each fault.
        headers: further headers of the answer.
    """

    status: int
    detail: str
    code: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The problem as JSON."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"code": self.code} if self.code else {}),
            "errors": [{"field": name, "message": message} for name, message in self.errors],
        }

    def response(self) -> HttpResponse:
        """The answer."""
        headers = {"Content-Language": LANGUAGE, **self.headers}
        return HttpResponse(render(self.body()), status=self.status, content_type=MEDIA_TYPE, headers=headers)


class Rejected(Exception):
    """A request that HTTP itself says no to: its form, its size, its key."""

    def __init__(
        self, status: int, detail: str, at: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        errors = ((at, detail),) if at else ()
        self.problem = Problem(status, detail, errors=errors, headers=headers or {})


@singledispatch
def problem_of(error: Exception) -> Problem:
    """What an exception means to the submitter."""
    log.error("request_failed", exc_info=error)
    return Problem(500, "Something went wrong here; the operator's log says what.")


@problem_of.register
def _(error: Rejected) -> Problem:
    return error.problem


@problem_of.register
def _(error: Refusal) -> Problem:
    return _refused(error.errors)


@problem_of.register
def _(error: Invalid) -> Problem:
    return _refused((error,))


@problem_of.register
def _(error: Conflict) -> Problem:
    at = _AT_FIELD.get(error.code)
    return Problem(409, error.message, error.code, ((at, error.message),) if at else ())


@problem_of.register
def _(error: Missing) -> Problem:
    return Problem(404, str(error))


@problem_of.register
def _(_error: Http404) -> Problem:
    return Problem(404, "There is nothing at this address.")


@problem_of.register
def _(error: ValidationError) -> Problem:
    return Problem(422, "A parameter is not right.", errors=tuple(map(_parameter, error.errors)))


@problem_of.register
def _(error: HttpError) -> Problem:
    if error.status_code == 401:
        message = "An API key is needed: Authorization: Bearer vgm_…"
        return Problem(401, message, headers=KEY_WANTED)
    return Problem(error.status_code, str(error))


@problem_of.register
def _(_error: KeyReused) -> Problem:
    return _at_key(422, "This Idempotency-Key came with another request before.")


@problem_of.register
def _(_error: InProgress) -> Problem:
    return _at_key(409, "The first request with this Idempotency-Key has not ended.")


@problem_of.register
def _(_error: RequestDataTooBig) -> Problem:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return Problem(413, f"The request is larger than the {limit} bytes that this server takes.")


@problem_of.register
def _(error: BrokenOff) -> Problem:
    message = f"{error} Nothing was stored; send all of it again."
    return Problem(400, message, errors=(("body", message),))


@problem_of.register
def _(error: Full) -> Problem:
    message = f"{error} Nothing was stored; send it again in {error.after} seconds."
    return Problem(503, message, headers={"Retry-After": str(error.after)})


@problem_of.register(SuspiciousOperation)
@problem_of.register(UnreadablePostError)
def _(_error: Exception) -> Problem:
    return Problem(400, "The request could not be read.")


@problem_of.register
def _(error: KeyMissing) -> Problem:
    log.error("vault_shut", why=str(error))
    return Problem(503, str(error), "vault_key_missing")


@problem_of.register
def _(error: Unreadable) -> Problem:
    return Problem(409, str(error), "secret_unreadable")


@problem_of.register(OperationalError)
@problem_of.register(InterfaceError)
@problem_of.register(InternalError)
def _(error: Exception) -> Problem:
    problem = storing.problem_of(error)
    if problem is None:
        log.error("database_unavailable", exc_info=error)
    else:
        # Where we were does not matter, and it is met at each request.
        log.error("database_unavailable", problem=problem, error=str(error).partition("\n")[0])
    code = "" if problem is None else problem
    return Problem(503, _UNAVAILABLE[code], code, headers={"Retry-After": "5"})


def answer_problem(_request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """The handler of every exception."""
    return problem_of(error if isinstance(error, Exception) else error()).response()


def not_found(_request: HttpRequest, **_path: object) -> HttpResponse:
    """The answer at an address of the API that does not exist."""
    return problem_of(Http404()).response()


def _refused(faults: Iterable[Invalid]) -> Problem:
    found = tuple(faults)
    errors = tuple((fault.field, fault.message) for fault in found)
    status = next((_STATUS[fault.code] for fault in found if fault.code in _STATUS), 422)
    detail = found[0].message if len(found) == 1 else "Several fields are not right."
    code = found[0].code if len(found) == 1 else ""
    return Problem(status, detail, code, errors, KEY_WANTED if status == 401 else {})


def _at_key(status: int, message: str) -> Problem:
    return Problem(status, message, errors=(("Idempotency-Key", message),))


def _parameter(error: Mapping[str, Any]) -> tuple[str, str]:
    path = [str(part) for part in error.get("loc", ())]
    return ".".join(path[1:]) or "request", str(error.get("msg", "This is not right."))
