"""The shapes of what the API says about a domain's deliverability."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import TEXT, JsonSchema, array, object_of, one_of, ref
from vaguemestre.policy.deliverability import Code, Subject
from vaguemestre.policy.finding import Severity, Who

_RECORD: dict[str, JsonSchema] = {"name": TEXT, "type": TEXT, "value": TEXT}
_POINT: dict[str, JsonSchema] = {
    "code": one_of(*Code),
    "subject": one_of(*Subject),
    "severity": one_of(*Severity),
    "what": TEXT,
    "why": TEXT,
    "remedy": TEXT,
    "who": one_of(*Who),
    "who_text": TEXT,
    "record": {"anyOf": [object_of(_RECORD), {"type": "null"}], "description": "To publish."},
}

SCHEMAS: dict[str, JsonSchema] = {
    "Deliverability": object_of({"domain": TEXT, "points": array(ref("DeliverabilityPoint"))}),
    "DeliverabilityPoint": object_of(_POINT),
}
