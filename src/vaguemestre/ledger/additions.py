"""What a stream adds to a message as it leaves: Auto-Submitted, and for each recipient a link to unsubscribe.

Decided once, when the message is accepted, and kept with it: whatever becomes of the stream or of our own
address later, a retry is byte-identical (L6). What the message says itself stays as it is. A link is one of
our own (RFC 2369 §3.2), and where it is reached by HTTPS one click is enough (RFC 8058 §3.1). It names the
delivery, signed; nothing of the recipient stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer

from vaguemestre.ledger.routing import StreamFacts
from vaguemestre.mail.automation import AutoSubmitted
from vaguemestre.mail.content import Content

NOTHING = "{}"
_AUTO_SUBMITTED, _UNSUBSCRIBE = "auto_submitted", "unsubscribe"
_ONE_CLICK = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")


def additions(stream: StreamFacts | None, content: Content) -> str:
    """What is added to a message of that stream, as its column keeps it."""
    if stream is None or not (stream.unsubscribe or stream.auto_submitted != AutoSubmitted.NO):
        return NOTHING
    found: dict[str, str] = {}
    if stream.auto_submitted != AutoSubmitted.NO and content.value("Auto-Submitted") is None:
        found[_AUTO_SUBMITTED] = stream.auto_submitted
    if stream.unsubscribe and content.value("List-Unsubscribe") is None:
        found[_UNSUBSCRIBE] = settings.ENVIRONMENT.base_url
    return json.dumps(found)


def each_apart(kept: str) -> bool:
    """Whether each recipient gets a content of its own, and so a transaction."""
    return kept != NOTHING and _UNSUBSCRIBE in _read(kept)


def fields(kept: str, delivery: int) -> tuple[tuple[str, str], ...]:
    """The header fields that are added for a delivery."""
    found = _read(kept)
    if not found:
        return ()
    added = []
    if _AUTO_SUBMITTED in found:
        added.append(("Auto-Submitted", found[_AUTO_SUBMITTED]))
    if _UNSUBSCRIBE in found:
        added.append(("List-Unsubscribe", f"<{found[_UNSUBSCRIBE]}/u/{_signer().sign(str(delivery))}>"))
        if found[_UNSUBSCRIBE].startswith("https://"):
            added.append(_ONE_CLICK)
    return tuple(added)


def delivery_of(token: str) -> int | None:
    """The delivery that a link names; None where we did not make it."""
    try:
        return int(_signer().unsign(token))
    except (BadSignature, ValueError):
        return None


@lru_cache(maxsize=64)
def _read(kept: str) -> Mapping[str, Any]:
    """Few streams add something at once."""
    found: dict[str, Any] = json.loads(kept)
    return found


def _signer() -> Signer:
    return Signer(sep=".", salt="vaguemestre.unsubscribe")
