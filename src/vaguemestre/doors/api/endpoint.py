"""How a function becomes an operation of the API.

`endpoint` registers it with a stable operationId and adds what all share: the scopes, English texts, the
guards against unstorable characters and unknown parameters in addresses, `Idempotency-Key` on POST (an
answer given once is given again, D1), JSON. The function itself takes plain values and returns an `Answer`,
or a response that it made.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.utils.crypto import salted_hmac
from ninja import Schema

from vaguemestre.doors.api import schemas
from vaguemestre.doors.api.auth import demand, submitter
from vaguemestre.doors.api.problems import Rejected
from vaguemestre.doors.api.rendering import LANGUAGE, render
from vaguemestre.ledger import idempotency

JSON = "application/json"
KEY_LIMIT = 255  # characters of an Idempotency-Key
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_KEY = re.compile(r"[ -~]+")


@dataclass(frozen=True)
class Answer:
    """What an operation answers: a body for `render`, or none, and the language of its texts."""

    body: object = None
    status: int = 200
    language: str = LANGUAGE


type View = Callable[..., Answer | HttpResponseBase]


def endpoint(  # noqa: PLR0913  an operation has these properties
    register: Callable[..., Callable[[Any], Any]],
    path: str,
    name: str,
    *,
    scopes: Sequence[str],
    gives: str = "",
    takes: str = "",
    status: int = 200,
    repeatable: bool = True,
    documented: Mapping[str, Any] | None = None,
) -> Callable[[View], View]:
    """Register a function as an operation.

    Args:
        register: a router's method: `router.get`, `router.post` ...
        path: below `/api/v1`.
        name: the operationId, stable.
        scopes: a key with any of them may call it.
        gives: the schema of its answer; "" for none.
        takes: the schema of its body; "" for none.
        status: of its answer.
        repeatable: whether a POST heeds `Idempotency-Key`.
        documented: further parts of the OpenAPI operation.
    """
    heeds_key = repeatable and register.__name__ == "post"
    more = {given["name"] for given in (documented or {}).get("parameters", ())}

    def decorate(view: View) -> View:
        signature = _signature(view)
        known = {name for name in _parameters(signature) if f"{{{name}}}" not in path} | more

        @functools.wraps(view)
        def run(request: HttpRequest, **values: Any) -> HttpResponseBase:
            demand(request, scopes)
            _refuse_unstorable(request, values)
            if request.META.get("QUERY_STRING"):
                _refuse_unknown(request, known)
            with translation.override(LANGUAGE):
                if heeds_key and "HTTP_IDEMPOTENCY_KEY" in request.META:
                    return _once(request, functools.partial(view, request, **values))
                answer = view(request, **values)
                return _response(answer) if isinstance(answer, Answer) else answer

        run.__signature__ = signature  # type: ignore[attr-defined]
        extra = schemas.operation(status, gives, takes, heeds_key=heeds_key)
        register(
            path,
            operation_id=name,
            summary=(view.__doc__ or name).partition("\n")[0].rstrip("."),
            description=inspect.getdoc(view) or "",
            response={status: None},
            openapi_extra={**extra, **(documented or {})},
        )(run)
        return view

    return decorate


def _signature(view: View) -> inspect.Signature:
    """What ninja reads: annotations as values, and the first parameter by its usual name."""
    found = inspect.signature(view, eval_str=True)
    request, *others = found.parameters.values()
    return found.replace(parameters=[request.replace(name="request"), *others])


def _parameters(signature: inspect.Signature) -> set[str]:
    """What an operation takes from its address: names of a schema, or its own."""
    names: set[str] = set()
    for parameter in [*signature.parameters.values()][1:]:
        kind = next(iter(get_args(parameter.annotation)), None)
        if isinstance(kind, type) and issubclass(kind, Schema):
            names |= {field.alias or name for name, field in kind.model_fields.items()}
        else:
            names.add(parameter.name)
    return names


def _once(request: HttpRequest, do: Callable[[], Answer | HttpResponseBase]) -> HttpResponse:
    """The answer to a request with an `Idempotency-Key`: made once, given as often as it is asked for."""

    def work() -> tuple[int, dict[str, Any]]:
        answer = do()
        if not isinstance(answer, Answer):
            raise TypeError("an operation that heeds Idempotency-Key answers with an Answer")
        # As text: PostgreSQL keeps the keys of JSON in another order; the same answer is the same bytes.
        return answer.status, {"rendered": render(answer.body).decode()}

    key = request.META["HTTP_IDEMPOTENCY_KEY"]
    if len(key) > KEY_LIMIT or not _KEY.fullmatch(key):
        message = f"An Idempotency-Key has 1 to {KEY_LIMIT} printable characters."
        raise Rejected(400, message, at="Idempotency-Key")
    owner = str(submitter(request).uid)
    status, kept, replayed = idempotency.once(owner, key, _digest(request), timezone.now(), work)
    response = _json(kept["rendered"].encode(), status, LANGUAGE)
    if replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def _digest(request: HttpRequest) -> str:
    """Of method, address and body; keyed, since a body may hold a password that could be guessed."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode("utf-8", "replace"))
    digest.update(request.body)
    return salted_hmac("vaguemestre.idempotency", digest.digest(), algorithm="sha256").hexdigest()


def _response(answer: Answer) -> HttpResponse:
    if answer.status == 204:
        return HttpResponse(status=204)
    return _json(render(answer.body), answer.status, answer.language)


def _json(body: bytes, status: int, language: str) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=JSON, headers={"Content-Language": language})


def _refuse_unstorable(request: HttpRequest, values: Mapping[str, Any]) -> None:
    """No database takes a NUL; nothing of ours has a control character in its name."""
    given = [(name, [value]) for name, value in values.items() if isinstance(value, str)]
    asked = request.GET.lists() if request.META.get("QUERY_STRING") else ()
    for name, texts in (*given, *asked):
        if any(_UNSTORABLE.search(str(text)) for text in texts):
            raise Rejected(422, "There is a control character in it; remove it.", at=name)


def _refuse_unknown(request: HttpRequest, known: Collection[str]) -> None:
    """A filter that was ignored would list what nobody asked for; a stream, send another way."""
    for name in request.GET:
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise Rejected(422, f"This address takes no parameter {name}; {takes}.", at=name)
