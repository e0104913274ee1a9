"""`vaguemestre stream`: purposes of communication, each with its connection and policies."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import streams
from vaguemestre.ledger.resources import stream_resource

COLUMNS = ("key", "name", "connection", "reply_to", "on_doubt", "retention_days", "redact")


def declare(parser: argparse.ArgumentParser) -> None:
    """`stream list|show|edit`."""
    among = actions(parser)
    action(among, "list", "list all", _list)
    action(among, "show", "show one", _show).add_argument("key", help="such as invoices")
    edit = action(among, "edit", "change one", _edit)
    edit.add_argument("key", help="such as invoices")
    edit.add_argument("--name", help="what people call it")
    edit.add_argument("--connection", help="the connection that carries it, by name or id; empty for none")
    edit.add_argument("--reply-to", help="where answers go; empty for the usual place")
    edit.add_argument("--on-doubt", help="retry or hold, where a message may have arrived")
    edit.add_argument("--retention-days", type=int, help="how long messages are kept")
    edit.add_argument(
        "--redact",
        action=argparse.BooleanOptionalAction,
        help="whether the console keeps the content from being read",
    )


def _list(arguments: argparse.Namespace) -> None:
    found = [stream_resource(stream) for stream in streams.all_streams()]
    named = {
        str(stream.connection.uid): stream.connection.name
        for stream in streams.all_streams()
        if stream.connection
    }
    show(
        arguments,
        found,
        table([row | {"connection": named.get(row["connection"])} for row in found], COLUMNS),
    )


def _show(arguments: argparse.Namespace) -> None:
    found = stream_resource(streams.find(arguments.key))
    show(arguments, found, listing(found))


def _edit(arguments: argparse.Namespace) -> None:
    names = ("name", "connection", "reply_to", "on_doubt", "retention_days", "redact")
    values: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in values.items() if value is not None}
    found = stream_resource(streams.edit(arguments.key, given, actor(), timezone.now()))
    show(arguments, found, listing(found))
