"""The body of a request as strict JSON (RFC 8259), or as a message.

Refused with a status of HTTP's own: another content type or an encoding (415), too many bytes (413), what is
no JSON (400, `strict_json`). A NUL or a lone surrogate in a string is refused at its path (422), since no
database or header takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

from vaguemestre.doors.api.problems import Rejected
from vaguemestre.doors.api.strict_json import JsonObject, parsed
from vaguemestre.ledger.database import storable
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.described import described
from vaguemestre.mail.errors import Invalid

SMALL = 1_048_576  # bytes of a body that holds no message


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


@lru_cache(maxsize=64)  # submitters write it in few ways
def _content_type(given: str) -> tuple[str, str]:
    """Type and charset, in small letters."""
    found = described(given)
    return found.kind, found.parameters.get("charset", "").lower()


def posted_messages(request: HttpRequest) -> tuple[JsonObject, bool]:
    """The same of many, and whether each is yet to answer for its texts (`refuse_unstorable`)."""
    return _object(request, settings.ENVIRONMENT.max_message_bytes * 2)


def _object(request: HttpRequest, limit: int) -> tuple[JsonObject, bool]:
    """The object, and whether there may be a text in it that no database can keep."""
    values, suspect = parsed(raw_body(request, "application/json", limit))
    if not isinstance(values, dict):
        raise Rejected(400, "A JSON object is needed.")
    return values, suspect


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
