"""Which connections come near what they may send in a day: told before messages wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, Sum

from vaguemestre.ledger.allowance import DAY
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Connection, ConnectionNotice, Use

NEAR = 0.8  # of the limit
AWAY = 0.7  # where it counts as near no more, once it was


@dataclass(frozen=True)
class Quota:
    """What a connection has used of its day.

    Attributes:
        used: recipients in the last 24 hours, those under way included.
        limit: its `per_day`.
    """

    connection: Connection
    used: int
    limit: int

    def over(self, share: float) -> bool:
        """Whether more than this share is used."""
        return self.used >= share * self.limit


def used(now: datetime) -> list[Quota]:
    """Of every active connection with a limit for a day."""
    limited = {one.pk: one for one in Connection.objects.filter(active=True, per_day__isnull=False)}
    if not limited:
        return []
    out = Use.objects.filter(Q(at=None) | Q(at__gt=now - DAY), connection__in=limited)
    sums = out.order_by().values_list("connection").annotate(Sum("recipients"))
    return [Quota(limited[pk], total, limited[pk].per_day or 0) for pk, total in sums]


def near(now: datetime) -> list[Quota]:
    """Those that come near it."""
    return [one for one in used(now) if one.over(NEAR)]


def take_near(now: datetime) -> list[Quota]:
    """Those that nobody was told of since they last were away from it, for the courier that took them."""
    quotas = used(now)
    told = {*ConnectionNotice.objects.filter(quota_near=True).values_list("connection_id", flat=True)}
    away = told - {one.connection.pk for one in quotas if one.over(AWAY)}
    news = [one for one in quotas if one.over(NEAR) and one.connection.pk not in told]
    if not news and not away:
        return []
    with writing():
        ConnectionNotice.objects.filter(connection__in=away).update(quota_near=False)
        return [one for one in news if _take(one.connection)]


def _take(connection: Connection) -> bool:
    ConnectionNotice.objects.bulk_create([ConnectionNotice(connection=connection)], ignore_conflicts=True)
    untold = ConnectionNotice.objects.filter(connection=connection, quota_near=False)
    return bool(untold.update(quota_near=True))
