"""What a connection is doing, and why not: a part of its page that keeps itself up to date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from vaguemestre.console.pages import or_404
from vaguemestre.ledger import connections, outlook
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.outlook_wording import Sentence, lane_sentences, manner_text, manner_why
from vaguemestre.policy.lane_outlook import LaneCode, Work

STOPPED = {LaneCode.SENDING_PAUSED, LaneCode.LOCKED, LaneCode.THROTTLED}


@dataclass(frozen=True)
class LaneTold:
    """A lane as its block shows it.

    Attributes:
        said: the server's words, where they are the reason.
        waits: whether its messages wait until the server takes them again.
    """

    code: str
    sentences: list[Sentence]
    said: str
    waits: bool
    work: Work
    manner: str
    manner_why: list[Sentence]


@require_safe
def lane(request: HttpRequest, uid: object) -> HttpResponse:
    """The block alone, for the page that shows it."""
    connection = or_404(connections.find, uid)
    context = {"connection": connection, "lane": lane_told(connection, timezone.now())}
    return render(request, "console/connections/lane.html", context)


def lane_told(connection: Connection, now: datetime) -> LaneTold:
    """What it is doing, in the reader's language."""
    found = outlook.of_connection(connection, now)
    return LaneTold(
        code=found.outlook.code,
        sentences=lane_sentences(found.outlook, quoting=False),
        said=str(found.outlook.facts.get("said", "")),
        waits=found.outlook.code in STOPPED and "backup" not in found.outlook.facts,
        work=found.work,
        manner=manner_text(found.ladder),
        manner_why=manner_why(found.ladder),
    )
