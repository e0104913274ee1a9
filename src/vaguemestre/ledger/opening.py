"""What an acceptance asks of the ledger first, all of it in one question."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vaguemestre.ledger.database import as_json, on_postgresql, recordset, rows

_REVOKED = "FROM {keys} JOIN ledger_apikey k ON k.id = keys.id WHERE k.revoked_at IS NOT NULL"
# AUTOINCREMENT: a number used once is not used again, and what is inserted moves the sequence on. The numbers
# are ours as long as the transaction lasts.
_SQLITE = """
SELECT (SELECT routing_epoch FROM ledger_instance) AS epoch,
       (SELECT json_group_array(k.id) {revoked}) AS revoked,
       COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_message'), 0) AS message,
       COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_delivery'), 0) AS delivery
"""
_POSTGRESQL = """
SELECT (SELECT routing_epoch FROM ledger_instance) AS epoch,
       ARRAY(SELECT k.id {revoked}) AS revoked,
       ARRAY(SELECT nextval('ledger_message_id_seq') FROM generate_series(1, %(messages)s)) AS messages,
       ARRAY(SELECT nextval('ledger_delivery_id_seq') FROM generate_series(1, %(deliveries)s)) AS deliveries
"""


@dataclass(frozen=True)
class Opening:
    """How the ledger is when an acceptance begins.

    Attributes:
        epoch: of the routing.
        revoked: those of the keys asked about that are.
        messages, deliveries: primary keys to use, rising.
    """

    epoch: int
    revoked: Collection[int]
    messages: Sequence[int]
    deliveries: Sequence[int]


def ask(keys: Collection[int], messages: int, deliveries: int) -> Opening:
    """The epoch, what became of some keys, and numbers for so many messages and deliveries.

    To be asked in the transaction that uses the answer, before all that routing asks (L3).
    """
    asked = {"keys": as_json({"id": key} for key in keys)}
    if on_postgresql():
        counts = {"messages": messages, "deliveries": deliveries}
        (found,) = rows(_statement(_POSTGRESQL), asked | counts)
        return Opening(
            found["epoch"], found["revoked"], sorted(found["messages"]), sorted(found["deliveries"])
        )
    (found,) = rows(_statement(_SQLITE), asked)
    return Opening(
        found["epoch"],
        json.loads(found["revoked"]),
        range(found["message"] + 1, found["message"] + 1 + messages),
        range(found["delivery"] + 1, found["delivery"] + 1 + deliveries),
    )


@lru_cache
def _statement(question: str) -> str:
    return question.format(revoked=_REVOKED.format(keys=recordset("keys", id="bigint")))
