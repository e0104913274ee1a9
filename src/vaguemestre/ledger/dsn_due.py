"""Which ends of deliveries are to be reported to whoever handed the message over: marked, for `dsn` to tell.

What a null reverse-path came with, what a key does not want reported and what came by another door than SMTP
is never marked, a notification of our own among it.
"""

from __future__ import annotations

from collections.abc import Iterable

from vaguemestre.ledger.database import as_json, execute, recordset
from vaguemestre.mail.dsn import action_of

_MARK = """
UPDATE ledger_delivery SET dsn_due = true WHERE id IN (
  SELECT d.id FROM {ended} JOIN ledger_delivery d ON d.id = ended.delivery
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
    due = [{"delivery": delivery} for delivery, state, notify in ended if action_of(state, notify)]
    if due:
        execute(_MARK.format(ended=recordset("ended", delivery="bigint")), {"ended": as_json(due)})
