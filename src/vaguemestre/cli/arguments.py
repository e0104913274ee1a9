"""Parts of commands that several families have in common."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import pwd
import sys
from collections.abc import Callable

from vaguemestre.cli.failure import Failed
from vaguemestre.mail.secret import Secret

type Actions = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  argparse names its type only so
type Run = Callable[[argparse.Namespace], int | None]


def actions(parser: argparse.ArgumentParser) -> Actions:
    """The words behind a family's."""
    return parser.add_subparsers(metavar="ACTION", required=True)


def action(among: Actions, name: str, summary: str, run: Run) -> argparse.ArgumentParser:
    """One of them, which prints JSON with --json."""
    parser = among.add_parser(name, help=summary, description=summary)
    json_option(parser)
    parser.set_defaults(run=run)
    return parser


def json_option(parser: argparse.ArgumentParser) -> None:
    """--json, in the same words everywhere."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def json_object(text: str, name: str) -> dict[str, object]:
    """An object that was given as JSON."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise Failed(f"{name}: give a JSON object.")
    return values


def actor() -> str:
    """Who calls, for the journal."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def offer_password(parser: argparse.ArgumentParser) -> None:
    """The only two ways in for a password: never an argument, which every user of the machine can read."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    ways.add_argument("--ask-password", action="store_true", help="ask for the password on the terminal")


def password(arguments: argparse.Namespace, *, wanted: bool) -> Secret | None:
    """The password, from where it was said; where it is `wanted`, it is also asked for on a terminal."""
    if arguments.password_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if arguments.ask_password or (wanted and sys.stdin.isatty()):
        return Secret(getpass.getpass("Password: "))
    return None


def new_password(arguments: argparse.Namespace) -> Secret:
    """A person's new password, asked for twice on a terminal."""
    if arguments.password_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise Failed("Give the password on standard input with --password-stdin.")
    first, second = getpass.getpass("New password: "), getpass.getpass("Once more: ")
    if first != second:
        raise Failed("The two passwords differ.")
    return Secret(first)
