"""Brings the database to where this version wants it, and says what is wrong with it. Needs Django."""

from __future__ import annotations

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from vaguemestre.cli import preparation
from vaguemestre.cli.failure import Failed
from vaguemestre.environment import Environment
from vaguemestre.ledger import instance, source_addresses, vault
from vaguemestre.ledger.database import durability_problems

# The console's page; to load all addresses for this one would cost half a second of every start.
SETUP_PATH = "/setup/"


def prepare(environment: Environment) -> int:
    """Migrate; look that commits last and keys are right. The answer is how many migrations were applied."""
    problems = [*durability_problems(), *later()]
    if problems:
        raise Failed(*problems)
    applied = len(unapplied())
    if applied:
        _migrate()
        call_command("createcachetable", verbosity=0)
    vault.check_canary()
    source_addresses.seed(environment.source_addresses, timezone.now())
    return applied


def _migrate() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except IntegrityError as error:
        what = f"The database could not be brought to this version, since its rows contradict it: {error}"
        raise Failed(f"{what} Restore what was backed up before the upgrade, and report this.") from None


def unapplied() -> list[str]:
    """The migrations that this version has and the database has not."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def not_applied() -> list[str]:
    """What is to be told where there are any."""
    missing = len(unapplied())
    return [f"{missing} migrations are not applied: run `vaguemestre migrate`."] if missing else []


def later() -> list[str]:
    """What is to be told where a later version has changed the database: this one would misread it."""
    loader = MigrationLoader(connections[DEFAULT_DB_ALIAS])
    apps = {app for app, _ in loader.disk_migrations}
    strange = [
        f"{app}.{name}"
        for app, name in sorted(loader.applied_migrations)
        if app in apps and (app, name) not in loader.disk_migrations
    ]
    if not strange:
        return []
    what = f"The database is of a later version of Vaguemestre, which has applied {', '.join(strange)}"
    return [f"{what}: install that version again, or restore what was backed up before the upgrade."]


def stand_alone(environment: Environment) -> None:
    """For a process that was started by itself: what `up` has looked at for its children.

    A courier with another key would lock every connection; one made for other tables would hand messages over
    and could not record it. A database that does not answer is waited for by whoever works on it. No
    connection is left open.

    Raises:
        Failed: a key is missing, or the database is not as this version wants it.
        vault.KeyMissing: the keys are another database's.
    """
    preparation.standing_keys(environment)
    try:
        problems = [*durability_problems(), *later()] or not_applied()
        if not problems:
            vault.check_canary()
    except Error:
        return
    finally:
        connections.close_all()
    if problems:
        raise Failed(*problems)


def first_link(environment: Environment) -> str | None:
    """A one-time link for the first administrator; None once there is one."""
    token = instance.new_setup_token()
    return f"{environment.base_url}{SETUP_PATH}{token}/" if token else None
