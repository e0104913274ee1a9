"""JSON as the API writes it: times in ISO 8601 (RFC 3339), ASCII only, so that no character can break it."""

from __future__ import annotations

import json

from django.core.serializers.json import DjangoJSONEncoder

LANGUAGE = "en"  # of every text, unless the request asks for another where it may


def render(body: object) -> bytes:
    """A body as bytes; bytes are one already."""
    if isinstance(body, bytes):
        return body
    return json.dumps(body, cls=DjangoJSONEncoder, separators=(",", ":")).encode("ascii")
