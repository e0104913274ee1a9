"""What servers told of the address that they saw us come from: kept for each connection, and the alarms.

A server may tell anything. So at most `MOST` addresses of a connection are kept, the latest; what was not
seen for `RECENT` raises no alarm any more, and a person can have one forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.db.models import QuerySet

from vaguemestre.ledger.database import provisional, writing
from vaguemestre.ledger.models import Sighting, SourceAddress
from vaguemestre.ledger.refusals import Missing
from vaguemestre.policy.whitelist import Entry, Standing, plausible, standing

MOST = 20  # addresses of one connection
RECENT = timedelta(days=30)


@dataclass(frozen=True)
class Alarm:
    """A connection's server sees it come from where nobody was told that it would."""

    connection_id: int
    addresses: tuple[str, ...]


def note(connection_id: int, address: str, now: datetime) -> None:
    """Keep that the connection's server saw us come from that address. What is no address is passed over."""
    seen = plausible(address)
    if seen is None:
        return
    sighting = Sighting(connection_id=connection_id, address=seen, first_seen_at=now, last_seen_at=now)
    with provisional():
        forgotten = Sighting.objects.filter(connection_id=connection_id, last_seen_at__lt=now - RECENT)
        forgotten.filter(address=seen).update(alarmed_at=None)  # it is news again
        Sighting.objects.bulk_create([sighting], ignore_conflicts=True)
        # Who saw it may have begun earlier than who wrote first: the last time never goes back.
        mine = Sighting.objects.filter(connection_id=connection_id, address=seen)
        mine.filter(last_seen_at__lt=now).update(last_seen_at=now)
        latest = Sighting.objects.filter(connection_id=connection_id).order_by("-last_seen_at", "-id")
        surplus = list(latest.values_list("pk", flat=True)[MOST:])
        if surplus:
            Sighting.objects.filter(pk__in=surplus).delete()


def forget(number: int) -> None:
    """Forget one, until its server tells it again.

    Raises:
        Missing: there is none of that number.
    """
    with writing():
        if not Sighting.objects.filter(pk=number).delete()[0]:
            raise Missing("sighting", str(number))


def forget_address(address: str) -> None:
    """Forget an address, whoever saw it.

    Raises:
        Missing: nobody did.
    """
    with writing():
        if not Sighting.objects.filter(address=plausible(address) or "").delete()[0]:
            raise Missing("sighting of", address)


def all_of() -> QuerySet[Sighting]:
    """Those of the connections that there are, the latest first."""
    found = Sighting.objects.filter(connection__deleted_at=None).select_related("connection")
    return found.order_by("-last_seen_at", "-id")


def entries() -> list[Entry]:
    """The list to compare with, in the operator's order."""
    columns = ("address", "label", "valid_from", "valid_until")
    return [Entry(*row) for row in SourceAddress.objects.order_by("position").values_list(*columns)]


def unlisted(now: datetime) -> list[Sighting]:
    """The sightings that are an alarm now, by connection."""
    listed = entries()
    if not listed:
        return []
    today = now.date()
    valid = [entry.address for entry in listed if entry.valid(today)]
    found = all_of().filter(last_seen_at__gte=now - RECENT).exclude(address__in=valid)
    return [
        seen
        for seen in found.order_by("connection__name_key", "connection_id", "address")
        if standing_of(seen, listed, today) is Standing.UNLISTED
    ]


def standing_of(seen: Sighting, listed: Iterable[Entry], today: date) -> Standing:
    """What is to be said of one."""
    return standing(seen.address, listed, seen.last_seen_at.date(), today)


def take_alarms(now: datetime) -> list[Alarm]:
    """The alarms that nobody was told of yet, for the courier that took them; another one gets none."""
    if not any(seen.alarmed_at is None for seen in unlisted(now)):
        return []
    with writing():
        fresh = unlisted(now)
        untold = {seen.connection_id for seen in fresh if seen.alarmed_at is None and _take(seen, now)}
    return [alarm for alarm in _alarms(fresh) if alarm.connection_id in untold]


def _take(seen: Sighting, now: datetime) -> bool:
    return bool(Sighting.objects.filter(pk=seen.pk, alarmed_at=None).update(alarmed_at=now))


def _alarms(found: Iterable[Sighting]) -> list[Alarm]:
    return [
        Alarm(connection_id, tuple(seen.address for seen in group))
        for connection_id, group in groupby(found, lambda seen: seen.connection_id)
    ]
