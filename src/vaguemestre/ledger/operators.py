"""Which of the people want to be told of alerts by mail, and that they are not told too often.

One mail for all that happened, and none within half an hour of the one before, however many couriers there
are and however often they start: the time of the last one is in the ledger. Where mail itself is what does
not work, none is made: it would only wait, and be old when it leaves. The alert URL and every page of the
console tell then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from vaguemestre.ledger import journal, notices
from vaguemestre.ledger.accept import explain
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Connection, Instance, User
from vaguemestre.mail.state import Health
from vaguemestre.policy.decision import Route

QUIET = timedelta(minutes=30)


def want(person: User, *, alerts: bool, now: datetime) -> None:
    """Whether this person is told."""
    with writing():
        person.wants_alerts = alerts
        person.save(update_fields=["wants_alerts"])
        journal.record("user", person.email, "changed", f"user:{person.email}", now, {"wants_alerts": alerts})


def who_want() -> list[User]:
    """Those who are told."""
    return list(User.objects.filter(is_active=True, wants_alerts=True).order_by("pk"))


def mail_leaves() -> bool:
    """Whether a notification would leave now."""
    decision = explain(notices.STREAM, None, None)
    if not isinstance(decision, Route):
        return False
    return Connection.objects.filter(pk=decision.connection_id, active=True, health=Health.READY).exists()


def take_turn(now: datetime) -> bool:
    """Whether half an hour has passed since the last mail; if so, it counts from now on. In a transaction."""
    free = Q(operators_told_at=None) | Q(operators_told_at__lte=now - QUIET)
    # A clock that was set back must not silence for longer than it would have been.
    ahead = Q(operators_told_at__gt=now)
    return bool(Instance.objects.filter(free | ahead, pk=1).update(operators_told_at=now))
