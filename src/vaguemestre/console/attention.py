"""What waits for a person, told on every page: an alert that does not depend on mail (L3, L6, L7)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.http import HttpRequest
from django.utils import timezone

from vaguemestre.console.sending.words import told
from vaguemestre.ledger import backups, messages, quotas, renewals, sending, sightings
from vaguemestre.ledger.backups import Pair
from vaguemestre.ledger.models import Connection, Sighting
from vaguemestre.ledger.quotas import Quota
from vaguemestre.ledger.renewals import Ending


@dataclass(frozen=True)
class Attention:
    """How much waits.

    Attributes:
        held: deliveries without a route.
        in_doubt: deliveries that nobody will try again unless a person says so.
        locked: connections that send nothing until a person mends them.
        failed: connections whose verification, renewed or asked for, failed since they were saved.
        ending: servers' certificates that end soon.
        backups: connections out of order for which another one stands in.
        near: connections that come near their limit for a day.
        unlisted: addresses that servers saw and that are not on the published list.
    """

    held: int
    in_doubt: int
    locked: tuple[Connection, ...]
    failed: tuple[Connection, ...]
    ending: tuple[Ending, ...]
    backups: tuple[Pair, ...]
    near: tuple[Quota, ...]
    unlisted: tuple[Sighting, ...]

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


def attention(request: HttpRequest) -> dict[str, object]:
    """For the templates of signed-in pages; parts of pages do without. A pause of all sending comes first."""
    person = getattr(request, "user", None)  # none where a middleware before the session's refused already
    if person is None or not person.is_authenticated or request.headers.get("HX-Request"):
        return {}
    waiting = messages.waiting_for_people()
    locked = tuple(Connection.objects.filter(active=True, health="locked").order_by("name_key"))
    now = timezone.now()
    return {
        "pause": told(sending.paused()),
        "attention": Attention(
            held=waiting["held"],
            in_doubt=waiting["in_doubt"],
            locked=locked,
            failed=tuple(one for one in renewals.failed() if one not in locked),
            ending=tuple(renewals.ending(now)),
            backups=tuple(backups.in_use(now)),
            near=tuple(quotas.near(now)),
            unlisted=tuple(sightings.unlisted(now)),
        ),
    }
