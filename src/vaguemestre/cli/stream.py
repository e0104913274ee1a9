"""`vaguemestre stream`: purposes of communication, each with its connection and policies."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import streams
from vaguemestre.ledger.models import Stream
from vaguemestre.ledger.resources import stream_resource
from vaguemestre.mail.automation import AutoSubmitted
from vaguemestre.mail.priority import Priority

COLUMNS = (
    "key", "name", "connection", "reply_to", "priority", "on_doubt", "retry_hours", "auto_submitted",
    "unsubscribe", "retention_days", "redact",
)  # fmt: skip
FIELDS = COLUMNS[1:]


def declare(parser: argparse.ArgumentParser) -> None:
    """`stream list|show|add|edit|delete`."""
    among = actions(parser)
    action(among, "list", "list all", _list)
    _key(action(among, "show", "show one", _show))
    for name, summary, run in (("add", "create one's own", _add), ("edit", "change one", _edit)):
        parser = action(among, name, summary, run)
        _key(parser)
        _values(parser)
    _key(action(among, "delete", "delete one's own, which no message refers to", _delete))


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="such as invoices")


def _values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="what people call it")
    parser.add_argument("--connection", help="the connection that carries it, by name or id; empty for none")
    parser.add_argument("--reply-to", help="where answers go; empty for the usual place")
    parser.add_argument("--priority", help=f"who leaves first where not all can: {', '.join(Priority)}")
    parser.add_argument("--on-doubt", help="retry or hold, where a message may have arrived")
    parser.add_argument("--retry-hours", type=int, help="how long a message is tried")
    parser.add_argument(
        "--auto-submitted", help=f"what messages say of themselves: {', '.join(AutoSubmitted)}"
    )
    _switch(parser, "--unsubscribe", "whether each recipient gets a link to unsubscribe")
    parser.add_argument("--retention-days", type=int, help="how long contents are kept")
    _switch(parser, "--redact", "whether links and codes are kept from being read in the console and the API")


def _switch(parser: argparse.ArgumentParser, name: str, words: str) -> None:
    parser.add_argument(name, action=argparse.BooleanOptionalAction, help=words)


def _list(arguments: argparse.Namespace) -> None:
    found = streams.all_streams()
    show(arguments, [stream_resource(one) for one in found], table(list(map(_named, found)), COLUMNS))


def _show(arguments: argparse.Namespace) -> None:
    _told(arguments, streams.find(arguments.key))


def _add(arguments: argparse.Namespace) -> None:
    _told(arguments, streams.create({"key": arguments.key} | _given(arguments), actor(), timezone.now()))


def _edit(arguments: argparse.Namespace) -> None:
    _told(arguments, streams.edit(arguments.key, _given(arguments), actor(), timezone.now()))


def _delete(arguments: argparse.Namespace) -> None:
    streams.delete(arguments.key, actor(), timezone.now())
    show(arguments, {"deleted": arguments.key}, f"{arguments.key} is deleted.")


def _told(arguments: argparse.Namespace, stream: Stream) -> None:
    show(arguments, stream_resource(stream), listing(_named(stream)))


def _named(stream: Stream) -> dict[str, Any]:
    """For people: its connection by name."""
    connection = stream.connection.name if stream.connection else None
    return stream_resource(stream) | {"connection": connection}


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    values = {name: getattr(arguments, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}
