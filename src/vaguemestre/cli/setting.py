"""`vaguemestre setting`: what holds for the whole instance."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from django.utils import timezone

from vaguemestre.cli import preview
from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import show
from vaguemestre.ledger import instance
from vaguemestre.policy.routing import Mode

_SWITCH = {"on": True, "off": False}
SETTINGS: Mapping[str, tuple[str, ...]] = {"default_mode": tuple(Mode), "renew_verifications": tuple(_SWITCH)}


def declare(parser: argparse.ArgumentParser) -> None:
    """`setting list|set`."""
    among = actions(parser)
    action(among, "list", "list the settings", _list)
    change = action(among, "set", "change one", _set)
    preview.declare(change)
    change.add_argument("name", choices=tuple(SETTINGS), help=f"one of: {', '.join(SETTINGS)}")
    change.add_argument(
        "value", help="; ".join(f"{name}: {' or '.join(values)}" for name, values in SETTINGS.items())
    )


def _list(arguments: argparse.Namespace) -> None:
    found = instance.settings()
    show(arguments, found, _text(found))


def _set(arguments: argparse.Namespace) -> None:
    if arguments.preview:
        if arguments.name != "default_mode":
            raise Failed("Only a change of default_mode has a preview.")
        preview.mode(arguments, arguments.value)
        return
    switches = tuple(_SWITCH) == SETTINGS[arguments.name]
    values = {arguments.name: _SWITCH.get(arguments.value) if switches else arguments.value}
    found = instance.change_settings(values, actor(), timezone.now())
    show(arguments, found, _text(found))


def _text(found: Mapping[str, object]) -> str:
    """One setting a line, under the names that `set` takes."""
    return "\n".join(f"{name}  {_word(value)}" for name, value in found.items())


def _word(value: object) -> str:
    return next((word for word, meant in _SWITCH.items() if meant is value), str(value))
