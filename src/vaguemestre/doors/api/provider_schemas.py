"""The shapes of what the API says about providers."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    MAYBE_TEXT,
    TEXT,
    array,
    input_of,
    object_of,
    one_of,
    page,
    ref,
)
from vaguemestre.doors.api.shapes import JsonSchema as Shape
from vaguemestre.providers.imports.reading import Kind, Why
from vaguemestre.providers.preset import LIMITS

_ENCRYPTION = one_of("ssl", "starttls", "none")
_SERVER: dict[str, Shape] = {"host": TEXT, "port": COUNT, "encryption": _ENCRYPTION}
_PROVIDER: dict[str, Shape] = {
    "key": TEXT,
    "label": TEXT,
    "countries": array(TEXT),
    **_SERVER,
    "servers": array(object_of(_SERVER))
    | {"description": "The first is the one above; the others serve too."},
    "auth": array(one_of("none", "password", "oauth2")),
    "login_hint": TEXT,
    "password_hint": TEXT,
    "note": TEXT,
    "docs_url": {"type": "string", "format": "uri"},
    "limits": object_of(dict.fromkeys(LIMITS, COUNT), optional=LIMITS),
    "spf_include": TEXT,
    "dkim_selectors": array(TEXT),
    "checked_on": {"type": "string", "format": "date"},
    "source": TEXT,
}
_MAYBE_ENCRYPTION: Shape = {"type": ["string", "null"], "enum": ["ssl", "starttls", "none", None]}
_RECOGNITION: dict[str, Shape] = {
    "found": FLAG,
    "why": {"type": ["string", "null"], "enum": ["domain", "mx", "srv", "autoconfig", None]},
    "text": TEXT,
    "evidence": TEXT,
    "provider": {"anyOf": [ref("Provider"), {"type": "null"}]},
    "host": MAYBE_TEXT,
    "port": {"type": ["integer", "null"]},
    "encryption": _MAYBE_ENCRYPTION,
    "login": {"type": ["string", "null"], "enum": ["address", "local_part", None]},
}

_FOUND: dict[str, Shape] = {"name": TEXT, "values": ANY_OBJECT, "has_password": FLAG}
_MISSED: dict[str, Shape] = {"line": COUNT, "name": TEXT, "why": one_of(*Why), "text": TEXT}
_PASTED: dict[str, Shape] = {
    "text": {"type": "string", "writeOnly": True},
    "kind": one_of(*Kind) | {"description": "Told from the text where it is not given."},
    "active": FLAG,
    "values": ANY_OBJECT | {"description": "Fields of the one connection that the text describes."},
}
_IMPORTED: dict[str, Shape] = {
    "kind": one_of(*Kind),
    "found": array(object_of(_FOUND)),
    "not_understood": array(object_of(_MISSED)),
    "created": array(ref("Connection")),
}

SCHEMAS: dict[str, Shape] = {
    "Provider": object_of(_PROVIDER),
    "Providers": page("Provider"),
    "SenderToRecognise": input_of({"sender_email": TEXT}, "sender_email"),
    "Recognition": object_of(_RECOGNITION),
    "PastedConfiguration": input_of(_PASTED, "text"),
    "ImportedConnections": object_of(_IMPORTED),
}
