"""What a submitter asks for in header fields of ours: `X-Vaguemestre-Stream`, `-Connection`, `-Tags`,
`-Metadata`, `-Idempotency-Key` and `-Send-At`. Rendering removes them from what leaves.

Fails with `Invalid`, naming the header: a wish that cannot be read is refused, never passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from vaguemestre.mail.content import Content
from vaguemestre.mail.errors import Invalid

_PREFIX = "X-Vaguemestre-"
_ANY = _PREFIX.lower().encode()
_NAMES = ("Stream", "Connection", "Tags", "Metadata", "Idempotency-Key", "Send-At")
IDEMPOTENCY_KEY_LIMIT = 255  # characters, as at the API


@dataclass(frozen=True)
class Wishes:
    """Each as it was given; None or empty where it was not.

    Attributes:
        stream: a stream's key.
        connection: a connection's public id or name.
        metadata: text to text.
        send_at: with its offset from UTC.
    """

    stream: str | None = None
    connection: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    send_at: datetime | None = None


NONE = Wishes()


def read_wishes(content: Content) -> Wishes:
    """The wishes that the content's header holds.

    Raises:
        Invalid: a header that is there twice, is none of ours, or that cannot be read.
    """
    if content.header_block.lower().find(_ANY) < 0:
        return NONE
    _refuse_unknown(content)
    return Wishes(
        stream=_text(content, "Stream"),
        connection=_text(content, "Connection"),
        tags=tuple(tag.strip() for tag in (_text(content, "Tags") or "").split(",") if tag.strip()),
        metadata=_metadata(_text(content, "Metadata")),
        idempotency_key=_idempotency_key(_text(content, "Idempotency-Key")),
        send_at=_moment(_text(content, "Send-At")),
    )


def _refuse_unknown(content: Content) -> None:
    """A wish whose name has a slip in it would be lost, and the message leave otherwise than was meant."""
    known = {f"{_PREFIX}{name}".lower().encode() for name in _NAMES}
    for name, _ in content.fields:
        if name.startswith(_ANY) and name not in known:
            given = name.decode("ascii")[len(_PREFIX) :].title()
            raise _fault(given, "header_unknown", f"is not known; there are {', '.join(_NAMES)}")


def _text(content: Content, name: str) -> str | None:
    wanted = f"{_PREFIX}{name}".lower().encode()
    if sum(known == wanted for known, _ in content.fields) > 1:
        raise _fault(name, "header_twice", "is there twice")
    return (content.text(f"{_PREFIX}{name}") or "").strip() or None


def _metadata(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
    except Invalid:
        raise
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise _fault("Metadata", "metadata", 'is not a JSON object of texts, such as {"order": "17"}')
    return value


def _each_once(entries: list[tuple[str, object]]) -> dict[str, object]:
    """An object in which no name is twice: one of the two would be lost."""
    found = dict(entries)
    if len(found) < len(entries):
        raise _fault("Metadata", "metadata", "names an entry twice")
    return found


def _idempotency_key(text: str | None) -> str | None:
    if text is not None and not (len(text) <= IDEMPOTENCY_KEY_LIMIT and text.isprintable()):
        raise _fault(
            "Idempotency-Key", "idempotency_key", f"is not 1 to {IDEMPOTENCY_KEY_LIMIT} printable characters"
        )
    return text


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise _fault("Send-At", "send_at", "is not a time with its offset, such as 2027-01-31T08:00:00+01:00")
    return moment


def _fault(name: str, code: str, what: str) -> Invalid:
    return Invalid(f"{_PREFIX}{name}", code, f"The header {_PREFIX}{name} {what}.")
