"""The ledger's things as the API and the command line show them (`interface.md`). Never a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vaguemestre.ledger import (
    contents,
    dsn,
    dsn_wording,
    fields,
    messages,
    oauth2,
    outlook,
    outlook_wording,
    sending,
    sending_wording,
    verifications,
    wording,
)
from vaguemestre.ledger.connections import vault_has
from vaguemestre.ledger.models import Attempt, Connection, Delivery, Message, Stream
from vaguemestre.ledger.stream_wording import plain_text, rules_told
from vaguemestre.ledger.submission import Accepted
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.envelope import UNNAMED
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import common_state
from vaguemestre.policy.decision import Decision
from vaguemestre.policy.installation import Pause
from vaguemestre.policy.outlook import Outlook


def connection_resource(connection: Connection) -> dict[str, Any]:
    """A connection."""
    verification = verifications.state_of(connection)
    return {
        "id": str(connection.uid),
        "name": connection.name,
        "sender_email": connection.sender_email,
        "sender_email_ascii": connection.sender_ascii,
        "sender_name": connection.sender_name,
        "reply_to": connection.reply_to,
        "host": connection.host,
        "port": connection.port,
        "encryption": connection.encryption,
        "auth": connection.auth,
        "login": connection.login,
        "has_password": vault_has(connection) and connection.auth != AuthKind.OAUTH2,
        "active": connection.active,
        "is_default": connection.is_default,
        "allowed_senders": connection.allowed_senders,
        "backup": str(connection.backup.uid) if connection.backup else None,
        "limits": {name: getattr(connection, name) for name in fields.LIMITS},
        "pinned_certificate": connection.pinned_certificate,
        "source_address": connection.source_address,
        "oauth2": oauth2.resource(connection),
        "health": {
            "state": connection.health,
            "why": connection.health_text or connection.health_why,
            "until": connection.health_until,
        },
        "verification": {
            "state": verification.state.value,
            "at": verification.at,
            "findings": list(verification.findings),
            "mechanism": verification.mechanism or None,
            "certificate_ends_at": verification.certificate_ends_at,
        },
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
    }


def sending_resource(pause: Pause | None) -> dict[str, Any]:
    """Whether anything is sent, and if not, why; `waiting` are those from before the pause."""
    if pause is None:
        return {"state": "running", "why": None, "since": None, "by": None, "waiting": 0}
    why = {
        "code": pause.why.value,
        "text": sending_wording.what(pause.why, pause.facts),
        "remedy": sending_wording.remedy(pause.why),
    }
    waiting = sending.waiting(pause)
    return {"state": "paused", "why": why, "since": pause.at, "by": pause.by, "waiting": waiting}


def stream_resource(stream: Stream) -> dict[str, Any]:
    """A stream."""
    return {
        "key": stream.key,
        "name": stream.name,
        "connection": str(stream.connection.uid) if stream.connection else None,
        "reply_to": stream.reply_to,
        "on_doubt": stream.on_doubt,
        "retry_hours": round(stream.retry_age / 3600),
        "priority": stream.priority,
        "auto_submitted": stream.auto_submitted,
        "unsubscribe": stream.unsubscribe,
        "retention_days": stream.retention_days,
        "redact": stream.redact,
        "built_in": stream.built_in,
    }


def rules_resource(decision: Decision) -> list[dict[str, Any]]:
    """What every rule said, with the public ids of the connections that they name."""
    rules = [rule.as_json() for rule in decision.rules]
    named = {rule["facts"]["connection"] for rule in rules if "connection" in rule["facts"]}
    found = Connection.objects.filter(pk__in=named).values_list("pk", "uid")
    public = {str(pk): str(uid) for pk, uid in found}
    for rule in rules:
        rule["text"] = plain_text(rule)
        if "connection" in rule["facts"]:
            rule["facts"]["connection"] = public.get(rule["facts"]["connection"])
    return rules


def accepted_summary(accepted: Accepted) -> dict[str, Any]:
    """The same as `message_summary` of a message that was accepted just now, without asking the ledger."""
    states = [(recipient, accepted.state_of(recipient)) for recipient in accepted.recipients]
    return {
        "id": accepted.uid,
        "state": common_state({state for _, state in states}),
        "connection": accepted.connection,
        "reason": {"code": accepted.reason["code"], "text": wording.reason_text(accepted.reason)},
        "deliveries": [{"recipient": recipient, "state": state} for recipient, state in states],
    }


def message_summary(message: Message) -> dict[str, Any]:
    """What POST answers: id, state, connection, reason, and each delivery's state."""
    deliveries = messages.deliveries_of(message)
    first = deliveries[0]
    return {
        "id": str(message.uid),
        "state": common_state({delivery.state for delivery in deliveries}),
        "connection": str(first.connection.uid) if first.connection else None,
        "reason": {"code": first.reason["code"], "text": wording.reason_text(first.reason)},
        "deliveries": [{"recipient": delivery.recipient, "state": delivery.state} for delivery in deliveries],
    }


def message_row(message: Message) -> dict[str, Any]:
    """A message in a list."""
    return message_summary(message) | {
        "subject": messages.subject_of(message),
        "from": message.header_from,
        "stream": message.stream.key if message.stream else None,
        "via": message.via,
        "size": message.size,
        "tags": message.tags,
        "accepted_at": message.accepted_at,
    }


def message_resource(message: Message, now: datetime) -> dict[str, Any]:
    """A message with its deliveries, when each leaves, and its attempts."""
    deliveries = messages.deliveries_of(message)
    outlooks, reports = outlook.of_deliveries(deliveries, now), dsn.reports_of(message)
    return message_row(message) | {
        "message_id": contents.message_id(message, deliveries[0].route),
        "reply_to": message.header_reply_to or None,
        "reverse_path": None if message.reverse_path == UNNAMED.wire else message.reverse_path,
        "metadata": message.metadata,
        "on_doubt": message.on_doubt or None,
        "resent_from": str(message.resent_from.uid) if message.resent_from else None,
        "deliveries": [
            _delivery(*told) | {"report": reports.get(told[0].pk)}
            for told in zip(deliveries, outlooks, strict=True)
        ],
        "attempts": [_attempt(attempt) for attempt in messages.attempts_of(message)],
    }


def lane_resource(connection: Connection, now: datetime) -> dict[str, Any]:
    """What a connection's lane is doing, and why not. A count in `more` is larger than what stands there."""
    found = outlook.of_connection(connection, now)
    work, activity = found.work, found.work.activity
    counts = {
        "due": work.due,
        "waiting": work.later,
        "claimed": work.claimed,
        "in_doubt": work.in_doubt,
        "held": work.held,
    }
    return {
        "code": found.outlook.code,
        "text": outlook_wording.lane_text(found.outlook),
        "until": found.outlook.at,
        **{name: count.number for name, count in counts.items()},
        "more": [name for name, count in counts.items() if count.more],
        "oldest_due_at": work.oldest_due_at,
        "next_attempt_at": work.next_attempt_at,
        "sessions": None if activity is None else activity.sessions,
        "in_flight": None if activity is None else activity.in_flight,
        "window": None if activity is None else activity.window,
        "manner": found.ladder.manner,
        "manner_why": outlook_wording.manner_why_text(found.ladder) or None,
        "backup": found.outlook.facts.get("backup"),
    }


def _delivery(delivery: Delivery, expected: Outlook) -> dict[str, Any]:
    return {
        "recipient": delivery.recipient,
        "state": delivery.state,
        "connection": str(delivery.connection.uid) if delivery.connection else None,
        "connection_name": delivery.connection.name if delivery.connection else None,
        "backup_for": str(delivery.backup_for.uid) if delivery.backup_for else None,
        "reason": {"code": delivery.reason["code"], "text": wording.reason_text(delivery.reason)},
        "rules": rules_told(delivery.rules, plain=True),
        "configuration_version": delivery.route_epoch,
        "leaves_as": delivery.route,
        "counted_attempts": delivery.counted,
        "attempt": str(delivery.attempt) if delivery.attempt else None,
        "next_attempt_at": messages.next_attempt_of(delivery),
        "last_reply": _last_reply(delivery),
        "trouble": None if delivery.trouble is None else wording.trouble_text(delivery.trouble),
        "remedy": dsn_wording.remedy(delivery) or None,
        "doubt": delivery.doubt_reason or None,
        "outlook": {
            "code": expected.code,
            "text": outlook_wording.delivery_text(expected),
            "at": expected.at,
        },
        "delayed_at": delivery.delayed_at,
        "settled_at": delivery.settled_at,
    }


def _last_reply(delivery: Delivery) -> dict[str, Any] | None:
    if delivery.last_code is None:
        return None
    return Reply(delivery.last_code, delivery.last_text).as_json


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": str(attempt.uid),
        "connection": str(attempt.connection.uid),
        "connection_version": attempt.connection_version,
        "started_at": attempt.started_at,
        "staged_at": attempt.staged_at,
        "ended_at": attempt.ended_at,
        "peer": attempt.peer,
        "tls": attempt.tls,
        "steps": attempt.steps,
    }
