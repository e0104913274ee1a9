"""`vaguemestre check`: configuration, keys, files, database, writing to it, a pause: all at once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

from django.conf import settings
from django.db import connection
from django.db.utils import Error
from django.utils import timezone

from vaguemestre.cli import database, permissions, preparation
from vaguemestre.cli.arguments import json_option
from vaguemestre.cli.failure import Failed, reasons, unusable
from vaguemestre.cli.output import show
from vaguemestre.doors.submission.certificate import validity
from vaguemestre.doors.submission.terms import dead_end
from vaguemestre.environment import ENV_FILE, SECRET_KEY_FILE, SECRETS, VAULT_KEY_FILE, Environment
from vaguemestre.ledger import sending, sending_wording, storing, vault
from vaguemestre.ledger.database import durability_problems
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.sqlite.base import LOCK_SUFFIX
from vaguemestre.ledger.sqlite.errors import RESTORE
from vaguemestre.policy.expiry import notice_of
from vaguemestre.variables import dotenv

READ_THROUGH = 1 << 28  # bytes of a database that are read for a damage: more would take too long
_RESUME = " The command is `vaguemestre sending resume [--cancel-waiting|--send-waiting]`."


def declare(parser: argparse.ArgumentParser) -> None:
    """`check` takes nothing but --json."""
    json_option(parser)
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    # What is wrong with the variables was read before Django was loaded with those that are right.
    wrong = map(str, arguments.environment.problems)
    problems = [*wrong, *_problems(settings.ENVIRONMENT)]
    ended, ends = _certificate(settings.ENVIRONMENT)
    problems += ended
    warnings = [*filter(None, [dead_end(settings.ENVIRONMENT)]), *ends]
    text = "\n".join(warnings) or ("" if problems else "Everything is in order.")
    show(arguments, {"ok": not problems, "problems": problems, "warnings": warnings}, text)
    if problems and not arguments.json:
        raise Failed(*problems)
    return 1 if problems else 0


def _certificate(environment: Environment) -> tuple[list[str], list[str]]:
    """What is wrong with the term of the listener's certificate, and what soon will be."""
    chain = environment.submission_certificate
    found, now = None if chain is None else validity(chain), timezone.now()
    if found is None or notice_of(found, now) is None:
        return [], []
    name = f"The listener's certificate, {chain},"
    if found.ends_at <= now:
        what = (
            f"{name} ended on {found.ends_at:%Y-%m-%d}: submitters that check it hand over nothing. Renew it."
        )
        return [what], []
    return [], [f"{name} ends on {found.ends_at:%Y-%m-%d}: renew it before."]


def _problems(environment: Environment) -> Iterator[str]:
    if barred := _failure(lambda: permissions.there(environment.data_dir / VAULT_KEY_FILE)):
        yield from barred
        return
    yield from _failure(lambda: preparation.data_directory(environment.data_dir, create=False))
    yield from _key_problems(environment)
    if environment.on_sqlite and not environment.database_file.exists():
        yield f"There is no database {environment.database_file} yet: run `vaguemestre up`."
        return
    unwritable = list(permissions.unwritable(_written(environment)))
    yield from unwritable
    looked = environment.on_sqlite and not unwritable
    full = list(_disk_problems(environment.database_file.parent)) if looked else []
    yield from full
    yield from _database_problems(environment, writable=not unwritable and not full)


def _written(environment: Environment) -> Iterator[Path]:
    """The files and folders that the processes write."""
    if environment.on_sqlite:
        file = environment.database_file
        yield from (file.with_name(f"{file.name}{suffix}") for suffix in ("", "-wal", "-shm", LOCK_SUFFIX))
    yield environment.data_dir / preparation.LOCK_FILE
    outcomes = environment.data_dir / "outcomes"
    yield outcomes
    if os.access(outcomes, os.R_OK | os.X_OK, effective_ids=True):
        yield from outcomes.iterdir()


def _key_problems(environment: Environment) -> Iterator[str]:
    if environment.secret_key is None:
        yield _no_key(environment.data_dir / SECRET_KEY_FILE, "VAGUEMESTRE_SECRET_KEY")
    if not environment.vault_keys:
        yield _no_key(environment.data_dir / VAULT_KEY_FILE, "VAGUEMESTRE_VAULT_KEYS")
    for name in (SECRET_KEY_FILE, VAULT_KEY_FILE):
        path = environment.data_dir / name
        if _readable_by_others(path):
            yield f"{path} can be read by others: run chmod 600 {path}"
    file = environment.database_file
    if environment.on_sqlite and _readable_by_others(file) and _open_to_others(file.parent):
        yield f"{file} holds all mail and can be read by others: run chmod 600 {file}"
    path = environment.data_dir / ENV_FILE
    if SECRETS & dotenv(path)[0].keys() and _readable_by_others(path):
        yield f"{path} holds secrets and can be read by others: run chmod 600 {path}"


def _no_key(path: Path, variable: str) -> str:
    missing = f"There is no {path.name} in {path.parent} and no {variable}."
    return permissions.unreadable(path, "The key") or missing


def _open_to_others(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o011)


def _readable_by_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _database_problems(environment: Environment, *, writable: bool) -> Iterator[str]:
    try:
        yield from _ledger_problems(environment, writable=writable)
    except Error as error:
        yield unusable(_database_name(environment), error)


def _database_name(environment: Environment) -> str:
    return f"The database {environment.database_file if environment.on_sqlite else 'of DATABASE_URL'}"


def _disk_problems(folder: Path) -> Iterator[str]:
    try:
        storing.take_room(folder)
    except OSError as error:
        yield f"Nothing can be stored in {folder} ({error.strerror}): make room on its disk."


def _ledger_problems(environment: Environment, *, writable: bool) -> Iterator[str]:
    missing, later = database.not_applied(), database.later()
    yield from durability_problems()
    if environment.on_sqlite and environment.database_file.stat().st_size <= READ_THROUGH:
        yield from _damage(environment.database_file)
    yield from later
    if later:
        return
    if missing:
        yield from missing
        return
    if environment.vault_keys:
        yield from _failure(vault.check_canary) or map(_unreadable, vault.unreadable())
    if (pause := sending.paused()) is not None:
        yield f"{sending_wording.what(pause.why, pause.facts)} {sending_wording.remedy(pause.why)}{_RESUME}"
    if writable:
        storing.attempt()


def _damage(file: Path) -> Iterator[str]:
    """Read all of it: a damage is met by whoever reads where it is, and by nobody else."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        found = str(cursor.fetchone()[0])
    if found != "ok":
        yield f"SQLite's check finds “{found.splitlines()[-1]}”; {RESTORE.format(file=file)}."


def _unreadable(connection: Connection) -> str:
    remedy = f"vaguemestre connection edit {quote(connection.name)} --ask-password"
    return f"The stored password of {connection.name} cannot be read: type it again with `{remedy}`."


def _failure(look: Callable[[], object]) -> list[str]:
    try:
        look()
    except Exception as error:
        found = reasons(error)
        if not found:
            raise
        return found
    return []
