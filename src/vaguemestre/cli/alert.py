"""`vaguemestre alert`: what the receiver of alerts needs."""

from __future__ import annotations

import argparse

from vaguemestre.cli.arguments import action, actions
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import show


def declare(parser: argparse.ArgumentParser) -> None:
    """`alert secret`."""
    among = actions(parser)
    action(among, "secret", "print the key that alerts are signed with, for their receiver", _secret)


def _secret(arguments: argparse.Namespace) -> None:
    key = arguments.environment.alert_key
    if key is None:
        raise Failed("There is no secret key yet: run `vaguemestre up` or `vaguemestre migrate`.")
    show(arguments, {"secret": key.written}, key.written)
