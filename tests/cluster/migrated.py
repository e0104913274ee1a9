"""Migrated databases to be copied, with the keys that belong to them: to make one takes 3 s of the processor."""

import os
import subprocess
import sys
from pathlib import Path

from cluster.postgresql import administer, stop, url_of
from cluster.shared import begin, made_once

COMMAND = Path(sys.executable).with_name("vaguemestre")
FOREIGN = ("VAGUEMESTRE_", "DATABASE_URL", "DJANGO_", "PYTEST_")
PATIENCE = 60.0  # seconds
TEMPLATE = "migrated"  # the database of `the_cluster`


def on_sqlite():
    """A data directory with keys and the database."""
    begin(at_end=stop)
    return made_once("migrated", _migrate)


def on_postgresql():
    """A data directory with the keys of the database `TEMPLATE`."""
    begin(at_end=stop)
    return made_once("migrated-on-postgresql", _migrate_template)


def _migrate_template(data):
    administer(f"CREATE DATABASE {TEMPLATE}")
    _migrate(data, DATABASE_URL=url_of(TEMPLATE))


def _migrate(data, **variables):
    environment = without_foreign(os.environ) | {"VAGUEMESTRE_DATA_DIR": str(data)} | variables
    subprocess.run([COMMAND, "migrate"], env=environment, capture_output=True, timeout=PATIENCE, check=True)


def without_foreign(environment):
    """What a product of the tests may inherit."""
    return {name: value for name, value in environment.items() if not name.startswith(FOREIGN)}
