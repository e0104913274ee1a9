"""`vaguemestre route explain`: which connection would carry a message, and why."""

from __future__ import annotations

import argparse
from typing import Any

from vaguemestre.cli.arguments import action, actions
from vaguemestre.cli.output import show
from vaguemestre.ledger import accept, wording
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.resources import rules_resource
from vaguemestre.ledger.stream_wording import plain_why_text
from vaguemestre.policy.routing import Route

_OUTCOMES = {"matched": "decides", "passed_over": "passed over", "not_applicable": "does not apply"}


def declare(parser: argparse.ArgumentParser) -> None:
    """`route explain`."""
    explain = action(actions(parser), "explain", "tell the route of a message, with every rule", _explain)
    explain.add_argument("--stream", help="the stream's key")
    explain.add_argument("--from", dest="from_", metavar="ADDRESS", help="the From that the message asks for")
    explain.add_argument("--connection", help="the connection that the message names")


def _explain(arguments: argparse.Namespace) -> None:
    decision = accept.explain(arguments.stream, arguments.from_, arguments.connection)
    reason = decision.reason.as_json()
    value = {
        "route": _route(decision) if isinstance(decision, Route) else None,
        "reason": {"code": reason["code"], "text": wording.reason_text(reason)},
        "rules": rules_resource(decision),
    }
    show(arguments, value, _text(value))


def _route(route: Route) -> dict[str, Any]:
    connection = Connection.objects.get(pk=route.connection_id)
    return {
        "connection": str(connection.uid),
        "connection_name": connection.name,
        "from": route.sender.header() if route.sender else None,
        "reply_to": route.reply_to,
        "reverse_path": route.reverse_path.address if route.reverse_path else None,
    }


def _text(value: dict[str, Any]) -> str:
    route, reason = value["route"], value["reason"]["text"]
    head = f"Carried by {route['connection_name']}: {reason}" if route else f"Held: {reason}"
    return "\n".join([head, *_leaves(route), *map(_rule, value["rules"])])


def _rule(rule: dict[str, Any]) -> str:
    return f"  {rule['code']:<18} {_OUTCOMES[rule['outcome']]}: {plain_why_text(rule)}"


def _leaves(route: dict[str, Any] | None) -> list[str]:
    if route is None:
        return []
    return [f"From: {route['from'] or 'as it is'}", f"Reply-To: {route['reply_to'] or 'none'}"]
