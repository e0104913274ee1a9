"""`vaguemestre source-address`: the addresses that mail leaves from, for a mail server's whitelist."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import show, table
from vaguemestre.ledger import sightings, source_addresses
from vaguemestre.policy.export import Form


def declare(parser: argparse.ArgumentParser) -> None:
    """`source-address list|set|announce|seen|forget|export`."""
    among = actions(parser)
    action(among, "list", "list them, one a line", _list)
    replace = action(among, "set", "replace the list", _set)
    replace.add_argument("address", nargs="*", help="ADDRESS or ADDRESS=LABEL; none empties the list")
    announce = action(among, "announce", "say from or until when an address is used", _announce)
    announce.add_argument("address")
    announce.add_argument("--from", dest="valid_from", metavar="DAY", help="first day, such as 2026-12-01")
    announce.add_argument("--until", dest="valid_until", metavar="DAY", help="last day")
    announce.add_argument("--label", help="a word for what it is")
    action(among, "seen", "list what servers saw, and whether it is on the list", _seen)
    forget = action(among, "forget", "forget that servers saw an address, until one sees it again", _forget)
    forget.add_argument("address")
    export = action(among, "export", "print the list in another form", _export)
    export.add_argument("format", choices=tuple(map(str, Form)), nargs="?", default="plain")


def _list(arguments: argparse.Namespace) -> None:
    found = source_addresses.resource()
    show(arguments, found, "\n".join(map(_line, found["items"])) or "None.")


def _line(item: dict[str, object]) -> str:
    days = [f"{word} {item[f'valid_{word}']}" for word in ("from", "until") if item[f"valid_{word}"]]
    return "  ".join([str(item["address"]), *days])


def _set(arguments: argparse.Namespace) -> None:
    pairs = [text.partition("=") for text in arguments.address]
    items = [{"address": address, "label": label} for address, _, label in pairs]
    source_addresses.replace(items, actor(), timezone.now())
    _list(arguments)


def _announce(arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name) for name in ("valid_from", "valid_until", "label")}
    changes = {name: value for name, value in given.items() if value is not None}
    source_addresses.announce(arguments.address, changes, actor(), timezone.now())
    _list(arguments)


def _seen(arguments: argparse.Namespace) -> None:
    found = source_addresses.resource()["sightings"]
    show(arguments, found, table(found, ("address", "standing", "connection_name", "last_seen_at")))


def _forget(arguments: argparse.Namespace) -> None:
    sightings.forget_address(arguments.address)
    _seen(arguments)


def _export(arguments: argparse.Namespace) -> None:
    found = source_addresses.export(arguments.format, timezone.now().date())
    show(arguments, found, found["text"])
