"""What waits for a person, told on every page: an alert that does not depend on mail (L3, L6, L7)."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone

from vaguemestre.ledger import backups, messages, sightings
from vaguemestre.ledger.backups import Pair
from vaguemestre.ledger.models import Connection, Sighting


@dataclass(frozen=True)
class Attention:
    """How much waits.

    Attributes:
        held: deliveries without a route.
        in_doubt: deliveries that nobody will try again unless a person says so.
        locked: connections that send nothing until a person mends them.
        backups: connections out of order for which another one stands in.
        unlisted: addresses that servers saw and that are not on the published list.
    """

    held: int
    in_doubt: int
    locked: tuple[Connection, ...]
    backups: tuple[Pair, ...]
    unlisted: tuple[Sighting, ...]

    def __bool__(self) -> bool:
        return bool(self.held or self.in_doubt or self.locked or self.backups or self.unlisted)


def attention(request: HttpRequest) -> dict[str, object]:
    """For the templates of signed-in pages; parts of pages do without."""
    person = getattr(request, "user", None)  # none where a middleware before the session's refused already
    if person is None or not person.is_authenticated or request.headers.get("HX-Request"):
        return {}
    waiting = messages.waiting_for_people()
    locked = tuple(Connection.objects.filter(active=True, health="locked").order_by("name_key"))
    now = timezone.now()
    standing_in, unlisted = tuple(backups.in_use(now)), tuple(sightings.unlisted(now))
    return {"attention": Attention(waiting["held"], waiting["in_doubt"], locked, standing_in, unlisted)}
