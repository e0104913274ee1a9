"""Whether mail of a connection arrives, as far as its sender's domain tells (`deliverability`)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.deliverability.examination import Busy, examine
from vaguemestre.deliverability.wording import as_json
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.language import in_preferred_language
from vaguemestre.doors.api.problems import Rejected
from vaguemestre.ledger import connections

router = Router(tags=["Connections"])


@endpoint(
    router.get,
    "/connections/{connection}/deliverability",
    "examineDeliverability",
    scopes=("connections",),
    gives="Deliverability",
)
def examine_deliverability(request: HttpRequest, connection: str) -> Answer:
    """Ask DNS about the domain of the sender; texts by Accept-Language."""
    found = connections.find(connection)
    try:
        examination = examine(found, timezone.now().date(), resolvers=settings.ENVIRONMENT.resolvers)
    except Busy as busy:
        raise Rejected(429, str(busy), headers={"Retry-After": "5"}) from None
    return in_preferred_language(request, lambda: as_json(examination))
