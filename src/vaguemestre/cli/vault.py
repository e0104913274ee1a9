"""`vaguemestre vault rotate`: seal every stored password under the first of the configured keys."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions
from vaguemestre.cli.output import show
from vaguemestre.ledger import vault


def declare(parser: argparse.ArgumentParser) -> None:
    """`vault rotate`."""
    action(actions(parser), "rotate", "seal stored passwords under the first vault key", _rotate)


def _rotate(arguments: argparse.Namespace) -> None:
    sealed = vault.rotate(timezone.now())
    show(arguments, {"sealed": sealed}, f"{sealed} stored passwords are sealed under the first key.")
