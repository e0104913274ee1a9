"""The shapes of what the API says before a change, about undoing one, and of who unsubscribed."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import (
    COUNT,
    FLAG,
    ID,
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

_REASON = object_of({"code": TEXT, "text": TEXT})
_NAMED = {"anyOf": [object_of({"id": ID, "name": TEXT, "sender_email": TEXT}), {"type": "null"}]}
_STREAM = {
    "stream": MAYBE_TEXT,
    "messages": COUNT,
    "changed": COUNT,
    "from_changed": COUNT,
    "reply_to_changed": COUNT,
}
_OPT_OUT = {"address": TEXT, "at": TIME}

SCHEMAS: dict[str, Shape] = {
    "DefaultPreview": object_of(
        {
            "days": COUNT,
            "mode": one_of("override", "fallback"),
            "from": MAYBE_TEXT | {"description": "Null where there is no default."},
            "reply_to": MAYBE_TEXT,
            "demoted": _NAMED,
            "messages": COUNT,
            "changed": COUNT | {"description": "Whose From or Reply-To would have been another."},
            "more": FLAG | {"description": "There were more messages; the latest were looked at."},
            "streams": array(object_of(_STREAM)),
            "waiting": COUNT | {"description": "Deliveries that wait, and are routed anew."},
            "forms": array(TEXT) | {"description": "Whose connection or reply address is overridden."},
            "deliverability": {"anyOf": [ref("Deliverability"), {"type": "null"}]},
        }
    ),
    "ModeQuestion": input_of({"default_mode": one_of("override", "fallback")}, "default_mode"),
    "DepartureQuestion": input_of({"act": one_of("deactivate", "delete"), "successor": MAYBE_ID}, "act"),
    "DeparturePreview": object_of(
        {
            "waiting": COUNT,
            "more": FLAG,
            "fates": array(
                object_of({"connection_name": MAYBE_TEXT, "reason": _REASON, "deliveries": COUNT})
            ),
            "in_hand": COUNT,
            "in_doubt": COUNT,
            "referrers": array(
                object_of(
                    {
                        "kind": TEXT,
                        "key": TEXT,
                        "name": TEXT,
                        "connection_name": MAYBE_TEXT,
                        "reason": _REASON,
                    }
                )
            ),
        }
    ),
    "OptOut": object_of(_OPT_OUT),
    "OptOuts": page("OptOut"),
    "NewOptOut": input_of({"address": TEXT}, "address"),
    "DefaultChange": object_of(
        {
            "undoable": FLAG,
            "previous": _NAMED,
            "chosen": _NAMED,
            "actor": MAYBE_TEXT,
            "at": MAYBE_TIME,
            "until": MAYBE_TIME,
            "refusal": MAYBE_TEXT,
        }
    ),
}
