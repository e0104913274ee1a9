"""What a change would do, and whether the last one of the default can be undone, as API and CLI show it."""

from __future__ import annotations

from typing import Any

from vaguemestre.ledger import wording
from vaguemestre.ledger.foresight import DAYS, DefaultPreview, Departure, Fate
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.undoing import Undoable


def default_preview_resource(found: DefaultPreview) -> dict[str, Any]:
    """What naming a default would change."""
    return {
        "days": DAYS,
        "mode": found.mode.value,
        "from": found.sender or None,
        "reply_to": found.reply_to or None,
        "demoted": _named(found.demoted),
        "messages": found.messages,
        "changed": found.changed,
        "more": found.more,
        "streams": [
            {
                "stream": one.key,
                "messages": one.messages,
                "changed": one.changed,
                "from_changed": one.from_changed,
                "reply_to_changed": one.reply_to_changed,
            }
            for one in found.streams
        ],
        "waiting": found.waiting.number,
        "forms": list(found.forms),
    }


def departure_resource(found: Departure) -> dict[str, Any]:
    """What becomes of what waits for a connection, and of what names it."""
    return {
        "waiting": found.waiting,
        "more": found.more,
        "fates": [_fate(fate) | {"deliveries": fate.messages} for fate in found.fates],
        "in_hand": found.in_hand,
        "in_doubt": found.in_doubt,
        "referrers": [
            {"kind": one.kind.value, "key": one.key, "name": one.name} | _fate(fate)
            for one, fate in found.referrers
        ],
    }


def undoable_resource(found: Undoable | None) -> dict[str, Any]:
    """The last change of the default, if it can still be undone or says why not."""
    if found is None:
        return dict.fromkeys(("previous", "chosen", "actor", "at", "until", "refusal")) | {"undoable": False}
    return {
        "undoable": found.refusal is None,
        "previous": _named(found.previous),
        "chosen": _named(found.chosen),
        "actor": found.actor,
        "at": found.at,
        "until": found.until,
        "refusal": None if found.refusal is None else wording.describe(found.refusal),
    }


def _fate(fate: Fate) -> dict[str, Any]:
    reason = fate.reason.as_json()
    return {
        "connection_name": fate.carrier or None,
        "reason": {"code": reason["code"], "text": wording.reason_text(reason)},
    }


def _named(connection: Connection | None) -> dict[str, Any] | None:
    if connection is None:
        return None
    return {"id": str(connection.uid), "name": connection.name, "sender_email": connection.sender_email}
