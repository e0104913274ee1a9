"""`vaguemestre setting`: what holds for the whole instance."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import listing, show
from vaguemestre.ledger import instance


def declare(parser: argparse.ArgumentParser) -> None:
    """`setting list|set`."""
    among = actions(parser)
    action(among, "list", "list the settings", _list)
    change = action(among, "set", "change one", _set)
    change.add_argument("name", help="such as default_mode")
    change.add_argument("value", help="such as override or fallback")


def _list(arguments: argparse.Namespace) -> None:
    found = instance.settings()
    show(arguments, found, listing(found))


def _set(arguments: argparse.Namespace) -> None:
    values = {arguments.name: arguments.value}
    found = instance.change_settings(values, actor(), timezone.now())
    show(arguments, found, listing(found))
