"""The shapes of what is written from templates: templates, notifications, invoices."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    array,
    input_of,
    object_of,
    page,
)
from vaguemestre.doors.api.shapes import JsonSchema as Shape

MAILBOX: Shape = {"anyOf": [TEXT, input_of({"email": TEXT, "name": TEXT}, "email")]}
LETTER: dict[str, Shape] = {
    "template": TEXT | {"description": "The key of a template, which writes subject, text and HTML."},
    "data": ANY_OBJECT | {"description": "What the template may show."},
    "language": MAYBE_TEXT | {"description": "Such as fr; else the recipient's, else the installation's."},
}
_SOURCES: dict[str, Shape] = {"subject": TEXT, "text": TEXT, "html": TEXT}
_TEMPLATE: dict[str, Shape] = {
    "key": TEXT,
    "stream": MAYBE_TEXT | {"description": "The stream it is for; null for all."},
    "language": TEXT,
    **_SOURCES,
    "version": COUNT | {"description": "Counts changes; 0 is a starter."},
    "updated_at": MAYBE_TIME,
    "built_in": FLAG,
}

SCHEMAS: dict[str, Shape] = {
    "Template": object_of(_TEMPLATE),
    "Templates": page("Template"),
    "NewTemplate": input_of({**_SOURCES, "stream": MAYBE_TEXT}, "subject"),
    "TemplateQuestion": input_of({"data": ANY_OBJECT, "language": MAYBE_TEXT, "stream": MAYBE_TEXT}),
    "RenderedTemplate": object_of({"subject": TEXT, "text": TEXT, "html": MAYBE_TEXT, "language": TEXT}),
    "NewNotification": input_of(
        {
            **LETTER,
            "recipient": MAILBOX,
            "expires_at": MAYBE_TIME,
            "tags": array(TEXT, maxItems=20),
            "metadata": {"type": "object", "additionalProperties": TEXT},
        },
        "template",
        "recipient",
    ),
}
