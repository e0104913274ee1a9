"""The shapes of forms and of what came in through them."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import (
    COUNT,
    FLAG,
    ID,
    MAYBE_ID,
    MAYBE_TEXT,
    TEXT,
    TIME,
    array,
    input_of,
    object_of,
    one_of,
    page,
)
from vaguemestre.doors.api.shapes import JsonSchema as Shape
from vaguemestre.policy.form_field import FIELDS, Kind

_FIELD: dict[str, Shape] = {
    "name": TEXT | {"description": "In HTML and JSON: small letters, digits, - and _."},
    "label": TEXT,
    "kind": one_of(*Kind),
    "required": FLAG,
    "longest": COUNT | {"description": "Characters; 0 for as many as the kind may have."},
    "choices": array(TEXT),
}
_COMMON: dict[str, Shape] = {
    "name": TEXT,
    "active": FLAG,
    "reply_to": TEXT | {"description": "Where answers to the reply go."},
    "notify": array(TEXT) | {"description": "Addresses that are told of each submission."},
    "replies": FLAG | {"description": "Whether the visitor gets a reply."},
    "quotes": FLAG | {"description": "Whether the reply repeats what was written."},
    "template": TEXT,
    "languages": array(TEXT),
    "origins": array(TEXT) | {"description": "Sites that it may be sent from; none for any."},
    "thanks_url": TEXT,
    "token_required": FLAG,
    "per_address": COUNT | {"description": "Submissions in an hour from one network address."},
    "per_hour": COUNT,
    "retention_days": COUNT,
}
_GIVEN: dict[str, Shape] = _COMMON | {
    "fields": array(input_of(_FIELD, "name", "label"), maxItems=FIELDS),
    "connection": MAYBE_TEXT | {"description": "By name or id; null for the stream's."},
    "reply_to": MAYBE_TEXT,
    "thanks_url": MAYBE_TEXT,
}

SCHEMAS: dict[str, Shape] = {
    "Form": object_of(
        {
            "key": TEXT,
            "address": TEXT | {"description": "Where it is posted to."},
            **_COMMON,
            "fields": array(object_of(_FIELD)),
            "connection": MAYBE_ID,
            "created_at": TIME,
        }
    ),
    "Forms": page("Form"),
    "NewForm": input_of(_GIVEN, "name", "fields"),
    "FormChanges": input_of(_GIVEN),
    "FormMarkup": object_of({"language": TEXT, "html": TEXT}),
    "FormSubmission": object_of(
        {
            "id": ID,
            "at": TIME,
            "language": TEXT,
            "email": TEXT | {"description": "The address typed."},
            "values": array(object_of({"name": TEXT, "label": TEXT, "value": TEXT})),
            "files": array(object_of({"name": TEXT, "filename": TEXT, "size": COUNT})),
            "notification": MAYBE_ID,
            "reply": MAYBE_ID,
            "unreplied": MAYBE_TEXT | {"description": "Why there is no reply."},
        }
    ),
    "FormSubmissions": page("FormSubmission"),
}
