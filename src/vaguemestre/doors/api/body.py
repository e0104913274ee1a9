"""The body of a request as strict JSON (RFC 8259), or as a message.

Refused with a status of HTTP's own: another content type or an encoding (415), too many bytes (413), what is
no JSON, is nested too deeply or names a key twice (400). A NUL or a lone surrogate in a string is refused at
its path (422), since no database or header takes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from functools import lru_cache
from typing import Any, NoReturn

from django.conf import settings
from django.http import HttpRequest

from vaguemestre.doors.api.problems import Rejected
from vaguemestre.ledger.database import storable
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid

SMALL = 1_048_576  # bytes of a body that holds no message
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
DEPTH = 64  # levels of arrays and objects
_NESTING = (dict, list)

type JsonObject = dict[str, Any]


def posted(request: HttpRequest, limit: int = SMALL) -> JsonObject:
    """The JSON object of a request."""
    values, suspect = _object(request, limit)
    if suspect:
        refuse_unstorable(values)
    return values


def posted_if_any(request: HttpRequest) -> JsonObject:
    """The JSON object of a request that needs none."""
    return posted(request) if request.body else {}


def posted_message(request: HttpRequest) -> JsonObject:
    """The JSON object of a request that holds messages: their bytes in base64, and JSON around them."""
    return posted(request, settings.ENVIRONMENT.max_message_bytes * 2)


def raw_body(request: HttpRequest, media_type: str, limit: int) -> bytes:
    """The bytes of a request, if they are of that type and not more than the limit."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise Rejected(
            415, "Send the body as it is, without Content-Encoding.", headers={"Accept-Encoding": ""}
        )
    given, charset = _content_type(request.META.get("CONTENT_TYPE", ""))
    if given != media_type or charset not in {"", "utf-8", "us-ascii"}:
        raise Rejected(415, f"The Content-Type must be {media_type}.", headers={"Accept": media_type})
    # Django compares the announced length with the largest body of any kind before it reads one.
    raw = request.body
    if not raw and "HTTP_TRANSFER_ENCODING" in request.META:
        raise Rejected(411, "Send the body with its Content-Length, not in chunks.")
    if not raw:
        raise Rejected(400, "A body is needed here.")
    if len(raw) > limit:
        raise Rejected(413, f"The body has {len(raw)} bytes; at most {limit} are taken here.")
    return raw


@lru_cache(maxsize=64)  # submitters write it in few ways, and reading it takes longer than their JSON
def _content_type(given: str) -> tuple[str, str]:
    """Type and charset, in small letters."""
    header = EmailMessage()
    try:
        header["Content-Type"] = given
        return header.get_content_type().lower(), str(header.get_content_charset(""))
    except (ValueError, IndexError, AttributeError, LookupError):
        return "", ""


def posted_messages(request: HttpRequest) -> tuple[JsonObject, bool]:
    """The same of many, and whether each is yet to answer for its texts (`refuse_unstorable`)."""
    return _object(request, settings.ENVIRONMENT.max_message_bytes * 2)


def _object(request: HttpRequest, limit: int) -> tuple[JsonObject, bool]:
    """The object, and whether there may be a text in it that no database can keep."""
    raw = raw_body(request, "application/json", limit)
    values = _parsed(raw)
    if not isinstance(values, dict):
        raise Rejected(400, "A JSON object is needed.")
    _refuse_deep(values)
    return values, b"\\u" in raw and _SUSPECT.search(raw) is not None


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(
            raw.decode(), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise Rejected(400, f"The body is not JSON as RFC 8259 has it: {_why(error)}") from None


def _why(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg}, line {error.lineno}, column {error.colno}."
        case UnicodeDecodeError():
            return "it is not UTF-8."
        case RecursionError():
            return "it is nested too deeply."
        case _Fault():
            return str(error)
        case _:
            return "a number in it is too long."


class _Fault(ValueError):
    """What the parser's own rules miss."""


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _Fault("a key is there twice.")
    return values


def _no_number(name: str) -> NoReturn:
    raise _Fault(f"{name} is no number.")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise _Fault("a number in it is too large.")
    return number


def _refuse_deep(values: JsonObject) -> None:
    level: list[JsonObject | list[Any]] = [values]
    for _ in range(DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _NESTING)
        ]
        if not level:
            return
    raise Rejected(400, f"The body is nested more than {DEPTH} levels deep.")


def refuse_unstorable(values: Mapping[str, object]) -> None:
    """Refuse a text with a NUL or half of a surrogate pair, at its path."""
    for path, text in _strings(values, ""):
        if not storable(text):
            message = "There is a NUL or half a character in it; remove it."
            raise Refusal(Invalid(_shown(path), "control_characters", message))


def _strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every string in it, keys too, with its path; without recursion."""
    waiting: list[tuple[str, object]] = [(path, value)]
    while waiting:
        at, found = waiting.pop()
        if isinstance(found, str):
            yield at, found
        elif isinstance(found, dict):
            yield from ((at, str(key)) for key in found)
            waiting += [(f"{at}.{key}" if at else str(key), inner) for key, inner in found.items()]
        elif isinstance(found, list):
            waiting += [(f"{at}[{position}]", inner) for position, inner in enumerate(found)]


def _shown(path: str) -> str:
    return path.replace("\0", "").encode("utf-8", "ignore").decode() or "body"
