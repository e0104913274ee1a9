"""How an attempt ended for one delivery: the columns of its next state, as the queue records them.

Worked out of a report in one place: for the ledger (`queue`), and for what is kept while it is away
(`evidence`). Nothing is read or written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vaguemestre.ledger.claims import Duty, Report, Settlement
from vaguemestre.ledger.doubts import after_doubt
from vaguemestre.mail.state import DeliveryState
from vaguemestre.mail.value import value


@value
class Ending:
    """What an attempt did to one delivery.

    Attributes:
        counted, spent, doubts: as they are now, this attempt included.
        doubt: why it is in doubt by this attempt; "" leaves what was there.
        code: of the server's reply; None where there was none.
    """

    delivery: int
    state: DeliveryState
    next_attempt_at: datetime | None
    counted: int
    spent: float
    doubts: int
    doubt: str
    code: int | None
    text: str
    trouble: dict[str, Any] | None


def endings(report: Report) -> tuple[Ending, ...]:
    """Of every delivery of an attempt, in the order of its settlements."""
    duties = {duty.id: duty for duty in report.claim.duties}
    return tuple(
        [_ending(report, settlement, duties[settlement.delivery]) for settlement in report.settlements]
    )


def _ending(report: Report, settlement: Settlement, duty: Duty) -> Ending:
    doubtful = settlement.state is DeliveryState.IN_DOUBT and bool(settlement.doubt)
    counted, reply = settlement.counted and not doubtful, settlement.reply
    again_at = settlement.delay_until
    if doubtful:
        again_at = after_doubt(report.claim.on_doubt, duty.doubts + 1, report.ended_at)
    return Ending(
        delivery=duty.id,
        state=settlement.state,
        next_attempt_at=again_at,
        counted=duty.counted + counted,
        spent=duty.spent + (settlement.delay if counted else 0.0),
        doubts=duty.doubts + doubtful,
        doubt=settlement.doubt if doubtful else "",
        code=None if reply is None else reply.code,
        text="" if reply is None else reply.text,
        trouble=settlement.trouble,
    )
