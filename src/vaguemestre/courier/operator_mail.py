"""One mail about alerts to each of the people who want it, in their language; in a thread of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from vaguemestre.courier.alert_page import page_of
from vaguemestre.courier.alert_wording import worded
from vaguemestre.courier.digest import Dated
from vaguemestre.ledger import lookup, notices, operators
from vaguemestre.ledger.database import writing

OLD = timedelta(hours=6)  # after which one that could not leave is not sent any more
MOST = 50  # alerts in a mail

log = structlog.get_logger("alerts")


def hand_over(told: Sequence[Dated], base_url: str) -> bool:
    """One mail to everybody who wants it, each in their language; false where it is too early for one."""
    people, now = operators.who_want(), datetime.now(UTC)
    if not people:
        return True
    if not operators.mail_leaves():
        log.warning("alerts_not_mailed", why="mail does not leave now", alerts=len(told))
        return True
    with writing():
        if not operators.take_turn(now):
            return False
        for person in people:
            data = {"alerts": [_shown(one, person.language, base_url) for one in told[:MOST]]}
            notices.send(person, "alert", data, now, OLD)
    log.info("alerts_mailed", alerts=len(told), people=len(people))
    return True


def _shown(one: Dated, language: str, base_url: str) -> dict[str, object]:
    alert, at = one
    named = None if alert.connection_id is None else lookup.named(alert.connection_id)
    what, remedy = worded(alert, "" if named is None else named.name, language or "en")
    written = at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return {"what": what, "remedy": remedy, "at": written, "url": base_url + page_of(alert, named)}
