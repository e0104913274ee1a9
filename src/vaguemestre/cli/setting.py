"""`vaguemestre setting`: what holds for the whole instance."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import show
from vaguemestre.ledger import instance
from vaguemestre.policy.routing import Mode

SETTINGS = {"default_mode": tuple(Mode)}


def declare(parser: argparse.ArgumentParser) -> None:
    """`setting list|set`."""
    among = actions(parser)
    action(among, "list", "list the settings", _list)
    change = action(among, "set", "change one", _set)
    change.add_argument("name", choices=tuple(SETTINGS), help=f"one of: {', '.join(SETTINGS)}")
    change.add_argument(
        "value", help="; ".join(f"{name}: {' or '.join(values)}" for name, values in SETTINGS.items())
    )


def _list(arguments: argparse.Namespace) -> None:
    found = instance.settings()
    show(arguments, found, _text(found))


def _set(arguments: argparse.Namespace) -> None:
    values = {arguments.name: arguments.value}
    found = instance.change_settings(values, actor(), timezone.now())
    show(arguments, found, _text(found))


def _text(found: Mapping[str, object]) -> str:
    """One setting a line, under the names that `set` takes."""
    return "\n".join(f"{name}  {value}" for name, value in found.items())
