"""What routing would answer, before anything is sent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from vaguemestre.doors.api.body import posted_if_any
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.typed import known_only, text
from vaguemestre.ledger import wording
from vaguemestre.ledger.accept import explain
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.stream_wording import rule_text, rule_why_text
from vaguemestre.policy.decision import Decision, Route

router = Router(tags=["Routes"])


@endpoint(
    router.post,
    "/routes/explain",
    "explainRoute",
    scopes=("send", "connections"),
    takes="RouteQuestion",
    gives="RouteAnswer",
    repeatable=False,
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
        "rules": _public([rule.as_json() for rule in decision.rules]),
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


def _public(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules with the public ids of the connections that they name."""
    named = {rule["facts"]["connection"] for rule in rules if "connection" in rule["facts"]}
    found = Connection.objects.filter(pk__in=named).values_list("pk", "uid")
    public = {str(pk): str(uid) for pk, uid in found}
    for rule in rules:
        rule["text"] = f"{rule_text(rule['code'])}. {rule_why_text(rule)}"
        if "connection" in rule["facts"]:
            rule["facts"]["connection"] = public.get(rule["facts"]["connection"])
    return rules
