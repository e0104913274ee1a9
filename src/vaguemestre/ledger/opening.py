"""What an acceptance asks of the ledger first, all of it in one question."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from vaguemestre.ledger.database import as_json, on_postgresql, rows
from vaguemestre.ledger.statements import tuples
from vaguemestre.mail.value import value

# AUTOINCREMENT: a number used once is not used again, and what is inserted moves the sequence on. The numbers
# are ours as long as the transaction lasts.
# Names, since the driver looks through what stands in their place.
_SQLITE = """
SELECT (SELECT routing_epoch FROM ledger_instance) AS epoch,
       (SELECT group_concat(id) FROM ledger_apikey
        WHERE id IN ({keys}) AND revoked_at IS NOT NULL) AS revoked,
       COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_message'), 0) AS message,
       COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_delivery'), 0) AS delivery,
       COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_handover'), 0) AS handover
"""
_POSTGRESQL = """
SELECT (SELECT routing_epoch FROM ledger_instance) AS epoch,
       ARRAY(SELECT k.id FROM jsonb_to_recordset(%(keys)s::jsonb) AS keys(id bigint)
             JOIN ledger_apikey k ON k.id = keys.id WHERE k.revoked_at IS NOT NULL) AS revoked,
       ARRAY(SELECT nextval('ledger_message_id_seq') FROM generate_series(1, %(messages)s)) AS messages,
       ARRAY(SELECT nextval('ledger_delivery_id_seq') FROM generate_series(1, %(deliveries)s)) AS deliveries
"""


@value
class Opening:
    """How the ledger is when an acceptance begins.

    Attributes:
        epoch: of the routing.
        revoked: those of the keys asked about that are.
        messages, deliveries: primary keys to use, rising.
        handover: the last one that a handover had, on SQLite.
    """

    epoch: int
    revoked: Collection[int]
    messages: Sequence[int]
    deliveries: Sequence[int]
    handover: int = 0


def ask(keys: Collection[int], messages: int, deliveries: int) -> Opening:
    """The epoch, what became of some keys, and numbers for so many messages and deliveries.

    To be asked in the transaction that uses the answer, before all that routing asks (L3).
    """
    if on_postgresql():
        asked = {"keys": as_json({"id": key} for key in keys), "messages": messages, "deliveries": deliveries}
        (found,) = rows(_POSTGRESQL, asked)
        return Opening(
            found["epoch"], found["revoked"], sorted(found["messages"]), sorted(found["deliveries"])
        )
    ((epoch, revoked, message, delivery, handover),) = tuples(
        _about(len(keys)), {f"key{place}": key for place, key in enumerate(keys)}
    )
    return Opening(
        epoch,
        [*map(int, revoked.split(","))] if revoked else (),
        range(message + 1, message + 1 + messages),
        range(delivery + 1, delivery + 1 + deliveries),
        handover,
    )


@lru_cache(maxsize=64)
def _about(keys: int) -> str:
    return _SQLITE.format(keys=", ".join(f"%(key{place})s" for place in range(keys)))
