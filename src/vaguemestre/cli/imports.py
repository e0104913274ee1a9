"""`vaguemestre connection import`: connections out of another program's configuration."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import actor
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.files import text_of
from vaguemestre.cli.output import listing, show
from vaguemestre.ledger.importing import create_all
from vaguemestre.ledger.resources import connection_resource
from vaguemestre.providers.imports.read import read
from vaguemestre.providers.imports.reading import Kind
from vaguemestre.providers.wording import found_resource, missed_resource
from vaguemestre.verification.wording import with_words


def declare(parser: argparse.ArgumentParser) -> None:
    """`connection import [FILE]`."""
    parser.add_argument("file", nargs="?", default="-", help="the file; - or none for standard input")
    parser.add_argument("--kind", choices=tuple(Kind), default="", help="told from the text otherwise")
    parser.add_argument("--name", help="the connection's name, where the text describes one")
    parser.add_argument("--active", action="store_true", help="let them carry mail at once")
    parser.add_argument("--dry-run", action="store_true", help="only tell what is in it")


def run(arguments: argparse.Namespace) -> None:
    """Create what is in the text, all of it or nothing."""
    reading = read(text_of(arguments.file), arguments.kind)
    if not reading.found:
        raise Failed("There is no account for sending in this text.")
    if arguments.name and len(reading.found) > 1:
        raise Failed("The text describes several connections: --name is for one.")
    named = {"name": arguments.name} if arguments.name else {}
    typed = [{**found.typed(), "active": arguments.active, **named} for found in reading.found]
    created = [] if arguments.dry_run else create_all(typed, actor(), timezone.now())
    value = {
        "kind": reading.kind.value,
        "found": [found_resource(found) | named for found in reading.found],
        "not_understood": [missed_resource(line) for line in reading.unread],
        "created": [with_words(connection_resource(saved.connection)) for saved in created],
    }
    show(arguments, value, _told(value))


def _told(value: dict[str, Any]) -> str:
    parts = [listing({"name": one["name"], **_shown(one)}) for one in value["found"]]
    parts += [str(line["text"]) for line in value["not_understood"]]
    parts += [f"{one['name']} is saved. Verify it before it carries mail." for one in value["created"]]
    return "\n\n".join(parts)


def _shown(found: dict[str, Any]) -> dict[str, object]:
    return {**found["values"], "password": "given" if found["has_password"] else ""}
