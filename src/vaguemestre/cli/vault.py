"""`vaguemestre vault`: seal stored passwords under the first key, or give up those of a key that is lost."""

from __future__ import annotations

import argparse
import os

from django.utils import timezone

from vaguemestre.cli import preparation
from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.output import show
from vaguemestre.ledger import vault


def declare(parser: argparse.ArgumentParser) -> None:
    """`vault rotate` and `vault forget`."""
    words = actions(parser)
    action(words, "rotate", "seal stored passwords under the first vault key", _rotate)
    forget = action(words, "forget", "give up the passwords that a lost key sealed, and begin anew", _forget)
    forget.add_argument(
        "--lost-key",
        action="store_true",
        required=True,
        help="the key is lost for good: each password it sealed has to be typed again",
    )


def _rotate(arguments: argparse.Namespace) -> None:
    sealed = vault.rotate(timezone.now())
    show(arguments, {"sealed": sealed}, f"{sealed} stored passwords are sealed under the first key.")


def _forget(arguments: argparse.Namespace) -> None:
    # What runs may still have the key in its memory.
    lock = preparation.alone(arguments.environment.data_dir)
    try:
        names = vault.forget(actor(), timezone.now())
    finally:
        os.close(lock)
    again = f"Type the passwords of these again: {', '.join(names)}." if names else "No password was stored."
    show(arguments, {"forgotten": names}, f"The present key is that of this database now. {again}")
