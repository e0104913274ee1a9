"""The shapes of the API for its OpenAPI document (JSON Schema 2020-12).

They describe; they do not validate. What a field takes is decided in one place for console, API and command
line, the ledger, so that request schemas name the fields and their types and leave the rules to the answer.
"""

from __future__ import annotations

from vaguemestre.doors.api.letter_schemas import LETTER
from vaguemestre.doors.api.oauth2_schemas import OAUTH2, OAUTH2_INPUT
from vaguemestre.doors.api.shapes import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    ID,
    MAYBE_COUNT,
    MAYBE_DAY,
    MAYBE_ID,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    TIME,
    JsonSchema,
)
from vaguemestre.doors.api.shapes import array as _array
from vaguemestre.doors.api.shapes import input_of as _input
from vaguemestre.doors.api.shapes import object_of as _object
from vaguemestre.doors.api.shapes import one_of as _one_of
from vaguemestre.doors.api.shapes import page as _page
from vaguemestre.doors.api.shapes import ref as _ref
from vaguemestre.mail.manner import Manner
from vaguemestre.policy.export import Form
from vaguemestre.policy.installation import PauseWhy
from vaguemestre.policy.lane_outlook import LaneCode
from vaguemestre.policy.outlook import OutlookCode
from vaguemestre.policy.whitelist import Standing

STATES = ["queued", "claimed", "held", "in_doubt", "accepted", "refused", "expired", "cancelled"]

LIMITS = dict.fromkeys(("max_sessions", "per_minute", "per_day", "max_recipients"), MAYBE_COUNT)
_CONNECTION_INPUT: dict[str, JsonSchema] = {
    "name": TEXT,
    "sender_email": TEXT,
    "sender_name": TEXT,
    "reply_to": TEXT,
    "host": TEXT,
    "port": MAYBE_COUNT,
    "encryption": _one_of("ssl", "tls", "starttls", "none"),
    "auth": _one_of("none", "password", "oauth2"),
    "oauth2": {"type": ["object", "null"], "properties": OAUTH2_INPUT},
    "login": TEXT,
    "password": {"type": "string", "writeOnly": True},
    "clear_password": FLAG,
    "active": FLAG,
    "is_default": FLAG,
    "allowed_senders": _array(TEXT),
    "backup": MAYBE_TEXT
    | {"description": "Stands in while this one is locked, or throttled for more than 5 minutes."},
    "limits": _input(LIMITS),
    "pinned_certificate": TEXT,
    "source_address": TEXT,
}
_CONNECTION: dict[str, JsonSchema] = {
    "id": ID,
    "name": TEXT,
    "sender_email": TEXT,
    "sender_email_ascii": TEXT,
    "sender_name": TEXT,
    "reply_to": TEXT,
    "host": TEXT,
    "port": COUNT,
    "encryption": _one_of("ssl", "starttls", "none"),
    "auth": _one_of("none", "password", "oauth2"),
    "login": TEXT,
    "has_password": FLAG,
    "active": FLAG,
    "is_default": FLAG,
    "allowed_senders": _array(TEXT),
    "backup": MAYBE_ID,
    "limits": _object(LIMITS),
    "pinned_certificate": TEXT,
    "source_address": TEXT,
    "oauth2": {"type": ["object", "null"], "properties": OAUTH2},
    "health": _object(
        {"state": _one_of("ready", "throttled", "locked", "paused"), "why": TEXT, "until": MAYBE_TIME}
    ),
    "verification": _object(
        {
            "state": _one_of("never", "verified", "failed", "stale"),
            "at": MAYBE_TIME,
            "findings": _array(ANY_OBJECT),
            "mechanism": MAYBE_TEXT,
            "certificate_ends_at": MAYBE_TIME,
        }
    ),
    "created_at": TIME,
    "updated_at": TIME,
}
_LANE = _object(
    {
        "code": _one_of(*LaneCode),
        "text": TEXT,
        "until": MAYBE_TIME,
        "due": COUNT,
        "waiting": COUNT | {"description": "Queued for later."},
        "claimed": COUNT,
        "in_doubt": COUNT,
        "held": COUNT | {"description": "For this connection while it is inactive."},
        "more": _array(TEXT) | {"description": "The counts that are larger than the number given."},
        "oldest_due_at": MAYBE_TIME,
        "next_attempt_at": MAYBE_TIME,
        "sessions": MAYBE_COUNT | {"description": "As the other two, null where nothing recent is known."},
        "in_flight": MAYBE_COUNT,
        "window": MAYBE_COUNT,
        "manner": _one_of(*Manner),
        "manner_why": MAYBE_TEXT,
        "backup": MAYBE_TEXT | {"description": "The name of the connection that stands in now."},
    }
)
_SAVED = _CONNECTION | {"demoted": _array(ID), "unverified": FLAG}
_FINDING = _object(
    dict.fromkeys(("code", "severity", "what", "why", "remedy", "who"), TEXT) | {"phase": MAYBE_TEXT}
)
_REPLY = {"type": ["object", "null"], "properties": {"code": COUNT, "enhanced": MAYBE_TEXT, "text": TEXT}}
_STEP = _object(
    {"phase": TEXT, "sent": TEXT, "reply": _REPLY, "error": MAYBE_TEXT, "elapsed_ms": {"type": "number"}}
)
_STREAM: dict[str, JsonSchema] = {
    "key": TEXT,
    "name": TEXT,
    "connection": MAYBE_TEXT,
    "reply_to": TEXT,
    "on_doubt": _one_of("retry", "hold"),
    "retry_hours": COUNT | {"description": "Of counted delays, until a delivery expires: 1 to 720."},
    "priority": _one_of("urgent", "normal", "low"),
    "auto_submitted": _one_of("no", "auto-generated", "auto-replied"),
    "unsubscribe": FLAG | {"description": "Each recipient gets a link to unsubscribe (RFC 8058)."},
    "retention_days": COUNT,
    "redact": FLAG | {"description": "Links and codes cannot be read in what is shown of a message."},
}
_REASON = _object({"code": TEXT, "text": TEXT})
_MAILBOX = {"anyOf": [TEXT, _input({"email": TEXT, "name": TEXT}, "email")]}
_MAILBOXES = {"anyOf": [_MAILBOX, _array(_MAILBOX, maxItems=1000)]}
_MESSAGE_INPUT: dict[str, JsonSchema] = {
    "to": _MAILBOXES,
    "cc": _MAILBOXES,
    "bcc": _MAILBOXES,
    "from": _MAILBOX,
    "reply_to": _MAILBOXES,
    "subject": TEXT,
    "text": MAYBE_TEXT,
    "html": MAYBE_TEXT,
    "attachments": _array(
        _input(
            {
                "filename": TEXT,
                "content_type": TEXT,
                "content": {"type": "string", "contentEncoding": "base64"},
                "content_id": TEXT,
            },
            "content",
        )
    ),
    "headers": {"type": "object", "additionalProperties": TEXT},
    "stream": MAYBE_TEXT,
    "connection": MAYBE_TEXT,
    "send_at": MAYBE_TIME,
    "expires_at": MAYBE_TIME,
    "tags": _array(TEXT, maxItems=20),
    "metadata": {"type": "object", "additionalProperties": TEXT},
    "on_doubt": _one_of("", "retry", "hold"),
    **LETTER,
}
_SUMMARY: dict[str, JsonSchema] = {
    "id": ID,
    "state": _one_of(*STATES, "mixed"),
    "connection": MAYBE_ID,
    "reason": _REASON,
    "deliveries": _array(_object({"recipient": TEXT, "state": _one_of(*STATES)})),
}
_NAMED = {"type": ["object", "null"], "properties": {"email": TEXT, "name": TEXT}}
_ROW = _SUMMARY | {
    "subject": TEXT,
    "from": _NAMED,
    "stream": MAYBE_TEXT,
    "via": _one_of("api", "smtp", "cli", "console", "form", "report"),
    "size": COUNT,
    "tags": _array(TEXT),
    "accepted_at": TIME,
}
_DELIVERY = _object(
    {
        "recipient": TEXT,
        "state": _one_of(*STATES),
        "connection": MAYBE_ID,
        "connection_name": MAYBE_TEXT,
        "backup_for": MAYBE_ID | {"description": "The connection that this one stands in for."},
        "reason": _REASON,
        "rules": _array(ANY_OBJECT) | {"description": "Every rule of routing: matched, or passed over, why."},
        "configuration_version": COUNT | {"description": "Of the routing that gave this answer."},
        "leaves_as": {"type": ["object", "null"]},
        "counted_attempts": COUNT,
        "attempt": MAYBE_ID,
        "next_attempt_at": MAYBE_TIME,
        "last_reply": _REPLY,
        "trouble": MAYBE_TEXT,
        "remedy": MAYBE_TEXT
        | {"description": "What to do about a refused or expired one, where that is known."},
        "doubt": MAYBE_TEXT,
        "outlook": _object({"code": _one_of(*OutlookCode), "text": TEXT, "at": MAYBE_TIME}),
        "delayed_at": MAYBE_TIME | {"description": "When it was told late: it had waited for 4 hours."},
        "settled_at": MAYBE_TIME,
        "report": MAYBE_ID
        | {"description": "The latest message by which its delay or end was reported to the reverse-path."},
    }
)
_MESSAGE = _ROW | {
    "message_id": TEXT,
    "reply_to": MAYBE_TEXT,
    "reverse_path": MAYBE_TEXT,
    "metadata": ANY_OBJECT,
    "on_doubt": MAYBE_TEXT,
    "resent_from": MAYBE_ID,
    "deliveries": _array(_DELIVERY),
    "attempts": _array(ANY_OBJECT),
}
_KEY: dict[str, JsonSchema] = {
    "id": ID,
    "name": TEXT,
    "prefix": TEXT,
    "scopes": _array(_one_of("send", "read", "connections", "admin")),
    "streams": _array(TEXT),
    "senders": _array(TEXT),
    "networks": _array(TEXT),
    "dsn": FLAG | {"description": "Failures of what it hands over by SMTP are reported by mail; the usual."},
    "created_at": TIME,
    "last_used_at": MAYBE_TIME,
    "revoked_at": MAYBE_TIME,
}
_PROBLEM = _object(
    {
        "type": TEXT,
        "title": TEXT,
        "status": COUNT,
        "detail": TEXT,
        "code": TEXT,
        "errors": _array(_object({"field": TEXT, "message": TEXT})),
    },
    optional=("code",),
)
_SOURCE_ADDRESS = {"address": TEXT, "label": TEXT, "valid_from": MAYBE_DAY, "valid_until": MAYBE_DAY}
_SETTINGS: dict[str, JsonSchema] = {
    "default_mode": _one_of("override", "fallback"),
    "renew_verifications": FLAG,
}
_PAUSE_WHY = _object({"code": _one_of(*PauseWhy), "text": TEXT, "remedy": TEXT})
_SENDING: dict[str, JsonSchema] = {
    "state": _one_of("running", "paused"),
    "why": {"anyOf": [_PAUSE_WHY, {"type": "null"}]},
    "since": MAYBE_TIME,
    "by": MAYBE_TEXT,
    "waiting": COUNT
    | {"description": "Deliveries (one a recipient, held ones too) that have waited since before the pause."},
}

SCHEMAS: dict[str, JsonSchema] = {
    "Problem": _PROBLEM,
    "Connection": _object(_CONNECTION),
    "ConnectionWithLane": _object(_CONNECTION | {"lane": _LANE}),
    "Connections": _page("Connection"),
    "SavedConnection": _object(_SAVED),
    "NewConnection": _input(_CONNECTION_INPUT, "name", "sender_email", "host"),
    "ConnectionChanges": _input(_CONNECTION_INPUT | {"successor": MAYBE_TEXT}),
    "TypedConnection": _input(_CONNECTION_INPUT | {"id": MAYBE_TEXT, "recipient": MAYBE_TEXT}),
    "VerificationWishes": _input({"recipient": MAYBE_TEXT}),
    "TestMessage": _input({"to": TEXT}, "to"),
    "VerificationResult": _object(
        {
            "ok": FLAG,
            "steps": _array(_STEP),
            "findings": _array(_FINDING),
            "capabilities": ANY_OBJECT,
            "tls": {"type": ["object", "null"]},
            "seen_address": MAYBE_TEXT,
            "mechanism": MAYBE_TEXT,
            "presented": {"type": ["object", "null"]},
        }
    ),
    "Sending": _object(_SENDING),
    "SendingResumed": _object(_SENDING | {"cancelled": COUNT}),
    "Resumption": _input({"cancel_waiting": FLAG}, "cancel_waiting"),
    "Settings": _object(_SETTINGS),
    "SettingsChanges": _input(_SETTINGS),
    "SourceAddresses": _object(
        {
            "items": _array(_object(_SOURCE_ADDRESS | {"last_seen_at": MAYBE_TIME})),
            "observed": _array(TEXT),
            "sightings": _array(_ref("Sighting")),
        }
    ),
    "SourceAddressExport": _object({"format": _one_of(*Form), "text": TEXT}),
    "Sighting": _object(
        {
            "id": COUNT,
            "connection": ID,
            "connection_name": TEXT,
            "address": TEXT,
            "standing": _one_of(*Standing),
            "first_seen_at": TIME,
            "last_seen_at": TIME,
        }
    ),
    "NewSourceAddresses": _input(
        {"items": _array(_input(_SOURCE_ADDRESS, "address"), maxItems=100)}, "items"
    ),
    "Stream": _object(_STREAM | {"built_in": FLAG}),
    "Streams": _page("Stream"),
    "NewStream": _input(_STREAM, "key"),
    "StreamChanges": _input(_STREAM),
    "RouteQuestion": _input({"stream": MAYBE_TEXT, "from": MAYBE_TEXT, "connection": MAYBE_TEXT}),
    "RouteAnswer": _object(
        {
            "decision": _one_of("route", "hold"),
            "connection": MAYBE_ID,
            "from": _NAMED,
            "reply_to": MAYBE_TEXT,
            "reverse_path": MAYBE_TEXT,
            "reason": _REASON,
            "rules": _array(ANY_OBJECT),
        }
    ),
    "NewMessage": _input(_MESSAGE_INPUT),
    "NewMessages": _input({"messages": _array(_ref("NewMessage"), minItems=1, maxItems=1000)}, "messages"),
    "AcceptedMessage": _object(_SUMMARY),
    "AcceptedMessages": _object({"results": _array({"anyOf": [_ref("AcceptedMessage"), _ref("Problem")]})}),
    "MessageRow": _object(_ROW),
    "Messages": _page("MessageRow"),
    "Message": _object(_MESSAGE),
    "Resolution": _input(
        {"outcome": _one_of("arrived", "send_again"), "recipients": _array(TEXT), "attempt": MAYBE_TEXT},
        "outcome",
    ),
    "Key": _object(_KEY),
    "Keys": _page("Key"),
    "NewKey": _input(
        {name: _KEY[name] for name in ("name", "scopes", "streams", "senders", "networks", "dsn")},
        "name",
        "scopes",
    ),
    "CreatedKey": _object(_KEY | {"key": TEXT}),
}

EXPORT_FORM: JsonSchema = {
    "in": "query",
    "name": "format",
    "description": "In whose words.",
    "required": False,
    "schema": {**_one_of(*Form), "default": "plain"},
}
IDEMPOTENCY_KEY: JsonSchema = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "The answer given to this key is given again for 30 days, and the work is done once.",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def optional_body(takes: str) -> JsonSchema:
    """The OpenAPI part of an operation that answers without a body as to an empty object."""
    return {"requestBody": {"content": {"application/json": {"schema": _ref(takes)}}, "required": False}}


def operation(status: int, gives: str, takes: str, *, heeds_key: bool) -> JsonSchema:
    """The OpenAPI parts that follow from an operation's schemas."""
    answer = {"content": {"application/json": {"schema": _ref(gives)}}} if gives else {}
    problem = {
        "description": "What is wrong (RFC 9457).",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    parts: JsonSchema = {"responses": {status: answer, "default": problem}}
    if takes:
        content = {"application/json": {"schema": _ref(takes)}}
        parts["requestBody"] = {"content": content, "required": True}
    if heeds_key:
        parts["parameters"] = [IDEMPOTENCY_KEY]
    return parts
