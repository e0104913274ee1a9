"""What routing would answer, before anything is sent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from vaguemestre.doors.api.body import posted_if_any
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.schemas import optional_body
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.ledger import wording
from vaguemestre.ledger.accept import explain
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.resources import rules_resource
from vaguemestre.policy.decision import Decision, Route

router = Router(tags=["Routes"])


@endpoint(
    router.post,
    "/routes/explain",
    "explainRoute",
    scopes=("send", "connections"),
    gives="RouteAnswer",
    repeatable=False,
    documented=optional_body("RouteQuestion"),
)
def explain_route(request: HttpRequest) -> Answer:
    """The route a message would take, or why it would be held, and every rule passed over."""
    values = posted_if_any(request)
    known_only(values, "stream", "from", "connection")
    asked = [text(values, name) or None for name in ("stream", "from", "connection")]
    return Answer(_shown(explain(*asked)))


def _shown(decision: Decision) -> dict[str, Any]:
    reason = decision.reason.as_json()
    common = {
        "reason": {"code": reason["code"], "text": wording.reason_text(reason)},
        "rules": rules_resource(decision),
    }
    if not isinstance(decision, Route):
        nothing = dict.fromkeys(("connection", "from", "reply_to", "reverse_path"))
        return {"decision": "hold", **nothing, **common}
    sender = decision.sender
    return {
        "decision": "route",
        "connection": str(Connection.objects.values_list("uid", flat=True).get(pk=decision.connection_id)),
        "from": None if sender is None else {"email": sender.mailbox.wire, "name": sender.name},
        "reply_to": decision.reply_to,
        "reverse_path": None if decision.reverse_path is None else decision.reverse_path.wire,
        **common,
    }
