"""`vaguemestre route explain`: which connection would carry a message, and why."""

from __future__ import annotations

import argparse
from typing import Any

from vaguemestre.cli.arguments import action, actions
from vaguemestre.cli.output import show
from vaguemestre.ledger import accept, wording
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.resources import rules_resource
from vaguemestre.ledger.stream_wording import rule_text, rule_why_text
from vaguemestre.policy.decision import RuleWhy
from vaguemestre.policy.routing import Route

_OUTCOMES = {"matched": "decides", "passed_over": "passed over", "not_applicable": "does not apply"}
_OF_STREAMS = {RuleWhy.NO_STREAM, RuleWhy.STREAM_HAS_NONE}


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
        "rules": [rule | {"text": _told(rule)} for rule in rules_resource(decision)],
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
    rules = [f"  {rule['code']:<18} {_OUTCOMES[rule['outcome']]}: {_why(rule)}" for rule in value["rules"]]
    return "\n".join([head, *_leaves(route), *rules])


def _told(rule: dict[str, Any]) -> str:
    """What the console calls a communication is a stream in every command."""
    return f"{rule_text(rule['code']).replace('communication', 'stream')}. {_why(rule)}"


def _why(rule: dict[str, Any]) -> str:
    text = rule_why_text(rule)
    # Not in the others: they may quote an address, or a name.
    return text.replace("communication", "stream") if rule["why"] in _OF_STREAMS else text


def _leaves(route: dict[str, Any] | None) -> list[str]:
    if route is None:
        return []
    return [f"From: {route['from'] or 'as it is'}", f"Reply-To: {route['reply_to'] or 'none'}"]
