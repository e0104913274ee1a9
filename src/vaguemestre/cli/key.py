"""`vaguemestre key`: API keys, by which submitters are known."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import show, table
from vaguemestre.ledger import keys

COLUMNS = (
    "id", "name", "prefix", "scopes", "streams", "senders", "networks", "dsn", "last_used_at", "revoked_at",
)  # fmt: skip


def declare(parser: argparse.ArgumentParser) -> None:
    """`key create|list|revoke`."""
    among = actions(parser)
    create = action(among, "create", "make a key and print it, once", _create)
    create.add_argument("name", help="whose it is")
    create.add_argument(
        "--scope", action="append", required=True, choices=keys.SCOPES, help="what it may do; repeatable"
    )
    create.add_argument(
        "--stream", action="append", default=[], help="the only streams it may use; repeatable"
    )
    create.add_argument(
        "--sender",
        action="append",
        default=[],
        help="the only addresses, or *@domain, it may send as; repeatable",
    )
    create.add_argument("--network", action="append", default=[], help="where it may come from; repeatable")
    create.add_argument(
        "--no-dsn",
        action="store_false",
        dest="dsn",
        help="report no failures, by mail, of what it hands over by SMTP",
    )
    action(among, "list", "list the keys, without their text", _list)
    revoke = action(among, "revoke", "make a key worthless, for good", _revoke)
    revoke.add_argument("id", help="as `key list` shows it")


def _create(arguments: argparse.Namespace) -> None:
    key, text = keys.create(
        arguments.name,
        arguments.scope,
        actor(),
        timezone.now(),
        streams=arguments.stream,
        senders=arguments.sender,
        networks=arguments.network,
        dsn=arguments.dsn,
    )
    show(arguments, {"id": str(key.uid), "name": key.name, "key": text}, text)


def _list(arguments: argparse.Namespace) -> None:
    found = [keys.resource(key) for key in keys.all_keys()]
    show(arguments, found, table(found, COLUMNS))


def _revoke(arguments: argparse.Namespace) -> None:
    key = keys.revoke(arguments.id, actor(), timezone.now())
    show(arguments, keys.resource(key), f"The key {key.name} is revoked.")
