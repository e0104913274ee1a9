"""`vaguemestre message`: look after messages."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import connections, messages, wording
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.resources import message_resource, message_row, message_summary
from vaguemestre.mail.state import DeliveryState

SUBJECT = 60  # characters of a subject in the list
COLUMNS = ("id", "accepted_at", "state", "subject", "recipients", "reason")


def declare(parser: argparse.ArgumentParser) -> None:
    """`message list|show|release|cancel|resolve`."""
    among = actions(parser)
    wanted = action(among, "list", "list messages, the latest first", _list)
    wanted.add_argument(
        "--state", default="", choices=[*DeliveryState], help="only those with such a delivery"
    )
    wanted.add_argument("--stream", default="", help="only this stream's, by its key")
    wanted.add_argument("--connection", help="only this connection's, by name or id")
    wanted.add_argument("--search", default="", help="part of a recipient or subject, or an id")
    wanted.add_argument(
        "--limit", type=int, default=50, choices=range(1, 1001), metavar="N", help="at most so many"
    )
    wanted.add_argument("--cursor", help="go on behind an earlier list, by its `next`")
    _one(action(among, "show", "show one with its deliveries and attempts", _show))
    _one(action(among, "release", "route what waits now, and let it go", _act(messages.release)))
    _one(action(among, "cancel", "end what has not left", _act(messages.cancel)))
    resolve = action(among, "resolve", "decide about what is in doubt", _resolve)
    _one(resolve)
    resolve.add_argument("--outcome", required=True, choices=["arrived", "send_again"], help="what to do")
    resolve.add_argument("--recipient", action="append", default=[], help="only this one; repeatable")
    resolve.add_argument("--attempt", help="the attempt that was looked at; another one since is refused")


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the message's id")


def _list(arguments: argparse.Namespace) -> None:
    connection = connections.find(arguments.connection).pk if arguments.connection else None
    wanted = messages.Filter(arguments.state, arguments.search, arguments.stream, connection)
    if arguments.cursor and not arguments.cursor.isdecimal():
        raise Failed("cursor: This cursor was not given out by this list.")
    page = messages.listing(wanted, arguments.cursor, arguments.limit)
    items = [message_row(message) for message in page.items]
    show(arguments, {"items": items, "next": page.next}, table([_row(item) for item in items], COLUMNS))


def _row(item: dict[str, Any]) -> dict[str, Any]:
    recipients = [delivery["recipient"] for delivery in item["deliveries"]]
    more = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
    subject = item["subject"]
    return item | {
        "subject": subject if len(subject) <= SUBJECT else f"{subject[: SUBJECT - 1]}…",
        "state": wording.state_text(item["state"]),
        "recipients": recipients[0] + more,
        "reason": item["reason"]["text"],
    }


def _show(arguments: argparse.Namespace) -> None:
    tell(arguments, messages.find(arguments.id))


def _act(act: Callable[..., Message]) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        tell(arguments, act(arguments.id, actor(), timezone.now()))

    return run


def _resolve(arguments: argparse.Namespace) -> None:
    message = messages.resolve(
        arguments.id,
        arguments.outcome,
        actor(),
        timezone.now(),
        recipients=arguments.recipient,
        attempt=arguments.attempt,
    )
    tell(arguments, message)


def summarise(arguments: argparse.Namespace, message: Message) -> None:
    """Print what an acceptance answers with."""
    value = message_summary(message)
    show(arguments, value, f"{value['id']}: {wording.state_text(value['state'])}. {value['reason']['text']}")


def tell(arguments: argparse.Namespace, message: Message) -> None:
    """Print a message: its facts, each recipient's state and reason, and what the servers said."""
    value = message_resource(message, timezone.now())
    parts = [
        _facts(value),
        "\n".join(line for delivery in value["deliveries"] for line in _delivery(delivery)),
        *("\n".join(_attempt(attempt)) for attempt in value["attempts"]),
    ]
    show(arguments, value, "\n\n".join(parts))


def _facts(value: dict[str, Any]) -> str:
    return listing(
        {
            "state": wording.state_text(value["state"]),
            "id": value["id"],
            "subject": value["subject"],
            "asked From": _mailbox(value["from"]),
            "asked Reply-To": value["reply_to"],
        }
        | {name: value[name] for name in ("stream", "via", "size", "accepted_at")}
    )


def _mailbox(value: dict[str, str] | None) -> str:
    if value is None:
        return ""
    return f"{value['name']} <{value['email']}>" if value["name"] else value["email"]


def _delivery(delivery: dict[str, Any]) -> list[str]:
    outlook, reason, reply = delivery["outlook"]["text"], delivery["reason"]["text"], delivery["last_reply"]
    said = f"{reply['code']} {reply['text']}" if reply else ""
    return [
        f"{delivery['recipient']}: {wording.state_text(delivery['state'])}",
        *([] if outlook.startswith(reason) else [f"  {reason}"]),
        *_leaves(delivery),
        *([] if said in outlook else [f"  The server said: {said}"]),
        f"  {outlook}",
        *([f"  {delivery['remedy']}"] if delivery["remedy"] else []),
        *([f"  Late: told {_time(delivery['delayed_at'])}"] if delivery["delayed_at"] else []),
        *([f"  Reported by {delivery['report']}"] if delivery["report"] else []),
    ]


def _leaves(delivery: dict[str, Any]) -> list[str]:
    """By which connection, and under which names."""
    route = delivery["leaves_as"]
    if route is None:
        return []
    return [
        f"  Connection: {delivery['connection_name']}",
        f"  From: {_mailbox(route['sender']) or 'as it is'}",
        f"  Reply-To: {route['reply_to'] or 'none'}",
    ]


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _attempt(attempt: dict[str, Any]) -> list[str]:
    head = f"Attempt at {_time(attempt['started_at'])} {attempt['peer']}".rstrip()
    return [head, *(line for step in attempt["steps"] for line in _step(step))]


def _step(step: dict[str, Any]) -> list[str]:
    """A reply of several lines goes on under its first one."""
    reply = step["reply"]
    answer = f"{reply['code']} {reply['text']}" if reply else (step["error"] or step["detail"])
    first, *further = answer.splitlines() or [""]
    head = f"  {step['phase']:<9} {step['sent']}  {first}".rstrip()
    return [head, *(f"{'':<12}{line}" for line in further)]
