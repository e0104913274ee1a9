"""Which ends and delays are to be reported to whoever handed the message over: marked, for `dsn` to tell.

What a null reverse-path came with, what a key does not want reported and what came by another door than SMTP
is never marked, a notification of our own among it.
"""

from __future__ import annotations

from collections.abc import Iterable

from vaguemestre.ledger.database import as_json, execute, recordset
from vaguemestre.mail.dsn import action_of

_MARK = """
UPDATE ledger_delivery SET dsn_due = true WHERE id IN (
  SELECT d.id FROM {due} JOIN ledger_delivery d ON d.id = due.delivery
  JOIN ledger_message m ON m.id = d.message_id
  LEFT JOIN ledger_apikey k ON k.id = m.submitter_id
  WHERE m.via = 'smtp' AND m.reverse_path <> '' AND COALESCE(k.dsn, true)
)
"""


def mark(ended: Iterable[tuple[int, str, str]]) -> None:
    """Have the ends of deliveries reported, where that is wanted; part of the transaction that ends them.

    Args:
        ended: deliveries, each with its new state and its NOTIFY.
    """
    _mark(delivery for delivery, state, notify in ended if action_of(state, notify))


def mark_delayed(late: Iterable[tuple[int, str]]) -> None:
    """Have delays reported, where DELAY was asked for; part of the transaction that tells of them.

    Args:
        late: deliveries, each with its NOTIFY. RFC 3461 §4.1 lets us report others too; who did not ask for
            it may take a report of delay for one of failure.
    """
    _mark(delivery for delivery, notify in late if "DELAY" in notify)


def _mark(deliveries: Iterable[int]) -> None:
    due = [{"delivery": delivery} for delivery in deliveries]
    if due:
        execute(_MARK.format(due=recordset("due", delivery="bigint")), {"due": as_json(due)})
