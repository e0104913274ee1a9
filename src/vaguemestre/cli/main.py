"""The command `vaguemestre`: finds the family that was asked for, loads what it needs, runs it.

Every mistake of the operator or refusal of the ledger is one sentence on standard error and exit status 1;
wrong usage is 2. Nothing that a command prints or logs holds a secret, but for a new API key and the first
administrator's link, shown once to whoever asked for them.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version

from vaguemestre.cli import permissions, process
from vaguemestre.cli.failure import Failed, reasons
from vaguemestre.environment import VAULT_KEY_FILE, Environment, read_environment


class Needs(Enum):
    """What has to stand before a family's module is imported."""

    ENVIRONMENT = "a sound environment"
    DATABASE = "a database as well"
    DJANGO = "a sound environment and Django"
    LEDGER = "a database and Django"


@dataclass(frozen=True)
class Family:
    """A word behind `vaguemestre`, and the module that knows the words behind it."""

    module: str
    needs: Needs
    summary: str


FAMILIES: Mapping[str, Family] = {
    "up": Family("up", Needs.ENVIRONMENT, "run everything on this machine"),
    "web": Family("web", Needs.DATABASE, "run the console and the HTTP API"),
    "submission": Family("submission", Needs.LEDGER, "run the SMTP submission listener"),
    "courier": Family("courier", Needs.LEDGER, "run a courier, which sends the queue"),
    "migrate": Family(
        "migrate", Needs.ENVIRONMENT, "create or update the database, and keys for an empty one"
    ),
    "check": Family("check", Needs.DJANGO, "tell every error of configuration, keys and database at once"),
    "alert": Family("alert", Needs.ENVIRONMENT, "the key that alerts are signed with"),
    "admin": Family("admin", Needs.LEDGER, "create an administrator, set a password"),
    "sending": Family("sending", Needs.LEDGER, "show whether anything is sent, pause and resume all of it"),
    "setting": Family("setting", Needs.LEDGER, "list and set the instance's settings"),
    "key": Family("key", Needs.LEDGER, "API keys"),
    "connection": Family("connection", Needs.LEDGER, "connections: the accounts that mail is sent through"),
    "provider": Family("provider", Needs.DJANGO, "providers that are known, and recognising one"),
    "stream": Family("stream", Needs.LEDGER, "streams: purposes of communication"),
    "form": Family("form", Needs.LEDGER, "forms of websites, and what came in through them"),
    "source-address": Family("source_address", Needs.LEDGER, "the addresses for a mail server's whitelist"),
    "send": Family("send", Needs.LEDGER, "send a message"),
    "invoice": Family("invoice", Needs.LEDGER, "send invoices, each number once, and ask what became of one"),
    "report": Family("report", Needs.LEDGER, "send a report that a program made"),
    "route": Family("route", Needs.LEDGER, "tell which connection would carry a message, and why"),
    "message": Family("message", Needs.LEDGER, "look after messages"),
    "vault": Family("vault", Needs.LEDGER, "the encryption of stored passwords"),
    "export": Family("export", Needs.LEDGER, "the whole configuration as one document"),
    "import": Family("import_", Needs.LEDGER, "take in such a document"),
}


def main() -> int:
    """Run this process's command line; the answer is its exit status."""
    os.umask(0o077)
    process.open_standard_streams()
    try:
        return run(sys.argv[1:])
    except BrokenPipeError:
        return 1
    finally:
        process.flush_standard_streams()


def run(words: Sequence[str], inherited: Environment | None = None) -> int:
    """Run a command; the answer is its exit status.

    A child of `up` has `inherited` the environment with all that was loaded for it, and goes by that.
    """
    chosen = _top_level().parse_args(words)
    family = FAMILIES[chosen.family]
    try:
        environment = _load(family, chosen.family, inherited or read_environment(os.environ))
        return _perform(chosen, family, environment)
    except process.Born as born:
        begun = born.words
    except KeyboardInterrupt:
        return 1
    except SystemExit as left:
        if inherited is None or not isinstance(left.code, str):
            raise
        _tell([left.code], chosen.family, child=True)
        return 1
    except Exception as error:
        lines = _key_barred(error) or reasons(error)
        if not lines:
            raise
        _tell(lines, chosen.family, child=inherited is not None)
        return 1
    return run(begun, importlib.import_module("vaguemestre.settings").ENVIRONMENT)


def _perform(chosen: argparse.Namespace, family: Family, environment: Environment) -> int:
    module = importlib.import_module(f"vaguemestre.cli.{family.module}")
    parser = argparse.ArgumentParser(prog=f"vaguemestre {chosen.family}", description=family.summary)
    module.declare(parser)
    arguments = parser.parse_args(chosen.rest, argparse.Namespace(environment=environment))
    return int(arguments.run(arguments) or 0)


def _key_barred(error: Exception) -> list[str]:
    """Where a stored secret is wanted, and the key is there but not for this user: what mends that."""
    if type(error).__module__ != "vaguemestre.ledger.vault":
        return []
    environment: Environment = importlib.import_module("vaguemestre.settings").ENVIRONMENT
    barred = permissions.unreadable(environment.data_dir / VAULT_KEY_FILE, "The key")
    return [barred] if barred and not environment.vault_keys else []


def _tell(lines: Sequence[str], name: str, *, child: bool) -> None:
    """On standard error; a process that `up` keeps running says it as an event among those of its log."""
    if child and name in {"web", "submission", "courier"}:
        structlog = importlib.import_module("structlog")  # `up` has loaded it
        structlog.get_logger().error("process_failed", process=name, reasons=list(lines))
    else:
        print("\n".join(lines), file=sys.stderr)


def _top_level() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<15} {family.summary}" for name, family in FAMILIES.items())
    parser = argparse.ArgumentParser(
        prog="vaguemestre",
        description="Keeps an organisation's outgoing email accounts, and sends all its mail through them.",
        epilog=f"commands:\n{listed}\n\n`vaguemestre COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vaguemestre {version('vaguemestre')}")
    parser.add_argument("family", metavar="COMMAND", choices=tuple(FAMILIES), help="one of those below")
    parser.add_argument("rest", metavar="...", nargs=argparse.REMAINDER, help="what the command takes")
    return parser


def _load(family: Family, name: str, environment: Environment) -> Environment:
    """Check the environment, then load Django and look for the database, as far as the family needs them."""
    if name != "check" and environment.problems:
        raise Failed(*map(str, environment.problems))
    if family.needs in {Needs.DATABASE, Needs.LEDGER}:
        _need_database(environment)
    if family.needs in {Needs.DJANGO, Needs.LEDGER}:
        # A process tells what it does; a command that a person calls tells only what is wrong.
        level = logging.INFO if name in {"submission", "courier"} else logging.WARNING
        importlib.import_module("vaguemestre.cli.loading").load_django(environment, level)
    return environment


def _need_database(environment: Environment) -> None:
    # Opening a missing SQLite file would make one, which the next `up` would take for data without its keys.
    if environment.on_sqlite and not permissions.there(environment.database_file):
        raise Failed(
            f"There is no database in {environment.data_dir} yet:"
            " run `vaguemestre up` or `vaguemestre migrate`, or set VAGUEMESTRE_DATA_DIR."
        )


if __name__ == "__main__":
    sys.exit(main())
