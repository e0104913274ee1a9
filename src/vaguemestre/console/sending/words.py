"""A pause of all sending, in the reader's language: for its page, and for the notice on every other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vaguemestre.ledger import sending_wording
from vaguemestre.ledger.outlook_wording import person
from vaguemestre.policy.installation import Pause, PauseWhy


@dataclass(frozen=True)
class PauseTold:
    """What is the matter, and what to do.

    Attributes:
        by: who wanted it; "" where nobody did, and this may be a copy.
        seen: names this pause, so that a page cannot end another one than it showed.
    """

    what: str
    remedy: str
    at: datetime
    by: str
    seen: str


def told(pause: Pause | None) -> PauseTold | None:
    """The pause, if there is one."""
    if pause is None:
        return None
    return PauseTold(
        what=sending_wording.what(pause.why, pause.facts),
        remedy=sending_wording.remedy(pause.why),
        at=pause.at,
        by=person(pause.by) if pause.why is PauseWhy.BY_HAND else "",
        seen=pause.at.isoformat(),
    )
