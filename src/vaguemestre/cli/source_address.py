"""`vaguemestre source-address`: the addresses that mail leaves from, for a mail server's whitelist."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import show
from vaguemestre.ledger import source_addresses


def declare(parser: argparse.ArgumentParser) -> None:
    """`source-address list|set`."""
    among = actions(parser)
    action(among, "list", "list them, one a line", _list)
    replace = action(among, "set", "replace the list", _set)
    replace.add_argument("address", nargs="*", help="ADDRESS or ADDRESS=LABEL; none empties the list")


def _list(arguments: argparse.Namespace) -> None:
    found = source_addresses.resource()
    show(arguments, found, "\n".join(item["address"] for item in found["items"]) or "None.")


def _set(arguments: argparse.Namespace) -> None:
    pairs = [text.partition("=") for text in arguments.address]
    items = [{"address": address, "label": label} for address, _, label in pairs]
    source_addresses.replace(items, actor(), timezone.now())
    _list(arguments)
