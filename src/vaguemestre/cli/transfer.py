"""`vaguemestre export` and `vaguemestre import`: the whole configuration as one document."""

from __future__ import annotations

import argparse
import getpass
import json
import sys

from django.utils import timezone

from vaguemestre.cli.arguments import actor, json_option
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.files import text_of
from vaguemestre.cli.output import say, show
from vaguemestre.ledger.portable import export
from vaguemestre.ledger.portable_import import Manner, TakenIn, take_in
from vaguemestre.mail.secret import Secret

MOST = 10_485_760  # characters of a document


def declare_export(parser: argparse.ArgumentParser) -> None:
    """`export`."""
    _passphrase_options(parser)
    json_option(parser)
    parser.set_defaults(run=_export)


def declare_import(parser: argparse.ArgumentParser) -> None:
    """`import FILE`."""
    parser.add_argument("file", help="the document; - for standard input")
    parser.add_argument("--replace", action="store_true", help="give what has the same name these values")
    parser.add_argument("--without-secrets", action="store_true", help="leave out the secrets that are in it")
    _passphrase_options(parser)
    json_option(parser)
    parser.set_defaults(run=_import)


def _passphrase_options(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--passphrase-stdin", action="store_true", help="read the passphrase from standard input"
    )
    ways.add_argument("--ask-passphrase", action="store_true", help="ask for it on the terminal")


def _export(arguments: argparse.Namespace) -> None:
    exported = export(timezone.now(), _new_passphrase(arguments))
    say(json.dumps(exported.document, ensure_ascii=False, indent=2))
    if exported.left_out:
        names = ", ".join(exported.left_out)
        print(f"Left out, for want of a passphrase: the secrets of {names}.", file=sys.stderr)


def _import(arguments: argparse.Namespace) -> None:
    if arguments.file == "-" and arguments.passphrase_stdin:
        raise Failed("Standard input cannot be both the document and the passphrase: name a file.")
    document = _document(arguments.file)
    manner = Manner(_passphrase(arguments), arguments.replace, arguments.without_secrets)
    done = take_in(document, manner, actor(), timezone.now())
    value = {name: getattr(done, name) for name in ("created", "replaced", "incomplete", "demoted")}
    show(arguments, value, _told(done))


def _passphrase(arguments: argparse.Namespace) -> Secret | None:
    if arguments.passphrase_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    return Secret(getpass.getpass("Passphrase: ")) if arguments.ask_passphrase else None


def _new_passphrase(arguments: argparse.Namespace) -> Secret | None:
    """For a new file, asked for twice."""
    passphrase = _passphrase(arguments)
    if arguments.ask_passphrase and passphrase is not None:
        again = getpass.getpass("Once more: ")
        if again != passphrase.reveal():
            raise Failed("The two passphrases differ.")
    return passphrase


def _document(name: str) -> object:
    text = text_of(name, MOST + 1)
    if len(text) > MOST:
        raise Failed("This is too long for an export.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Failed("This is not an export of Vaguemestre: it is no JSON.") from None


def _told(done: TakenIn) -> str:
    lines = [f"{name} is created." for name in done.created]
    lines += [f"{name} has the document's values." for name in done.replaced]
    lines += [f"{name} waits for its password, inactive." for name in done.incomplete]
    lines += [f"{name} is not the default any more; it stays active." for name in done.demoted]
    return "\n".join(lines) or "Settings, streams and source addresses are as in the document."
