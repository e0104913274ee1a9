"""The shapes of what is written from templates: templates, notifications, invoices, reports."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    ID,
    MAYBE_DAY,
    MAYBE_ID,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    TIME,
    array,
    input_of,
    object_of,
    one_of,
    page,
    ref,
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
_INVOICE: dict[str, Shape] = {
    "number": TEXT,
    "recipient": TEXT,
    "again": COUNT | {"description": "How often it had gone to this recipient before."},
    "amount": TEXT,
    "currency": TEXT,
    "due": MAYBE_DAY,
    "message": ID,
    "taken_at": TIME,
    "state": TEXT,
    "accepted": FLAG | {"description": "Whether a server took it over."},
    "at": MAYBE_TIME | {"description": "When it came to this state for good."},
    "connection": MAYBE_TEXT,
    "server": MAYBE_TEXT,
    "reply": {
        "type": ["object", "null"],
        "properties": {"code": COUNT, "enhanced": MAYBE_TEXT, "text": TEXT},
    },
    "sha256": TEXT | {"description": "Of the PDF."},
}

_SCHEDULE: dict[str, Shape] = {
    "active": FLAG,
    "recipients": array(TEXT),
    "weekday": COUNT | {"description": "0 is Monday, 6 is Sunday."},
    "hour": COUNT | {"description": "0 to 23, of the zone."},
    "zone": TEXT | {"description": "Such as Europe/Paris."},
    "language": TEXT | {"description": "Empty for that of the installation."},
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
            "from": MAILBOX,
            "expires_at": MAYBE_TIME,
            "tags": array(TEXT, maxItems=20),
            "metadata": {"type": "object", "additionalProperties": TEXT},
        },
        "template",
        "recipient",
    ),
    "NewInvoice": input_of(
        {
            "number": TEXT,
            "to": MAILBOX,
            "pdf": {"type": "string", "contentEncoding": "base64"},
            "filename": TEXT,
            "amount": {"type": ["string", "number", "null"]},
            "currency": TEXT,
            "due": MAYBE_DAY,
            **LETTER,
            "stream": MAYBE_TEXT,
            "connection": MAYBE_TEXT,
            "from": MAILBOX,
            "reply_to": {"anyOf": [MAILBOX, array(MAILBOX)]},
            "on_doubt": one_of("", "retry", "hold"),
            "again": TEXT
            | {"description": "The id of the message that took the number to this recipient, to repeat it."},
        },
        "number",
        "to",
        "pdf",
    ),
    "NewReport": input_of(
        {
            "to": {"anyOf": [MAILBOX, array(MAILBOX)]},
            "file": {"type": "string", "contentEncoding": "base64"},
            "filename": TEXT,
            "subject": TEXT | {"description": "Else the file's name."},
            "text": TEXT | {"description": "Some words about it."},
            **LETTER,
            "stream": MAYBE_TEXT,
            "connection": MAYBE_TEXT,
            "from": MAILBOX,
            "reply_to": {"anyOf": [MAILBOX, array(MAILBOX)]},
            "on_doubt": one_of("", "retry", "hold"),
        },
        "to",
        "file",
        "filename",
    ),
    "ReportSchedule": object_of({**_SCHEDULE, "next_at": MAYBE_TIME, "last_message": MAYBE_ID}),
    "ReportScheduleChanges": input_of(_SCHEDULE),
    "Invoice": object_of(_INVOICE),
    "Invoices": page("Invoice"),
    "InvoiceAnswer": object_of({"number": TEXT, "items": array(ref("Invoice"))}),
}
