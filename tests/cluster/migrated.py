"""Migrated databases to be copied, with the keys that belong to them: to make one takes 3 s of the processor."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cluster.postgresql import administer, stop, url_of
from cluster.shared import begin, made_once

COMMAND = Path(sys.executable).with_name("vaguemestre")
FOREIGN = ("VAGUEMESTRE_", "DATABASE_URL", "DJANGO_", "PYTEST_")
PATIENCE = 60.0  # seconds
TEMPLATE = "migrated"  # the database of `the_cluster`
EVERYTHING = ("send", "read", "connections", "admin")


@dataclass(frozen=True)
class Opened:
    """One whose doors are open to whoever has the key.

    Attributes:
        data: its data directory.
        key: the text of an API key that may do everything.
    """

    data: Path
    key: str


def on_sqlite():
    """A data directory with keys and the database."""
    begin(at_end=stop)
    return made_once("migrated", _migrate)


def opened_on_sqlite():
    """The same with an API key."""
    return _opened(made_once("opened", lambda folder: _open(shutil.copytree(on_sqlite(), folder / "data"))))


def opened_on_postgresql():
    """With an API key; the database is `TEMPLATE`."""
    begin(at_end=stop)
    return _opened(made_once("opened-on-postgresql", _make_template))


def _make_template(folder):
    administer(f"DROP DATABASE IF EXISTS {TEMPLATE}")  # of a try that failed
    administer(f"CREATE DATABASE {TEMPLATE}")
    where = {"DATABASE_URL": url_of(TEMPLATE)}
    _migrate(folder / "data", **where)
    _open(folder / "data", **where)


def _opened(folder):
    return Opened(folder / "data", (folder / "key").read_text())


def _migrate(data, **variables):
    _run(data, "migrate", **variables)


def _open(data, **variables):
    scopes = [word for scope in EVERYTHING for word in ("--scope", scope)]
    told = json.loads(_run(data, "key", "create", "tests", *scopes, "--json", **variables))
    (data.parent / "key").write_text(told["key"])


def _run(data, *words, **variables):
    environment = without_foreign(os.environ) | {"VAGUEMESTRE_DATA_DIR": str(data)} | variables
    done = subprocess.run(
        [COMMAND, *words], env=environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=True
    )
    return done.stdout


def without_foreign(environment):
    """What a product of the tests may inherit."""
    return {name: value for name, value in environment.items() if not name.startswith(FOREIGN)}
