"""The command on PostgreSQL: keys are made by whether its database has data, wherever the directory is."""

import pytest

from cli.installation import Installation
from cluster.postgresql import new_database

pytestmark = pytest.mark.needs("pg_ctlcluster")


def test_up_runs_on_postgresql_and_makes_keys_for_an_empty_database_only(tmp_path):
    with new_database() as url:
        run_on(Installation(tmp_path / "data", DATABASE_URL=url))


def run_on(installation):
    with installation.up() as up:
        assert set(up.children()) == {"web", "submission", "courier"}
        assert up.stop() < 30
    assert not (installation.data / "vaguemestre.sqlite3").exists()
    assert installation.run("check").stdout == "Everything is in order.\n"
    (installation.data / "vault.key").unlink()
    refused = installation.run("up")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"The key {installation.data / 'vault.key'} is missing beside existing data:"
        " restore it from a backup or set VAGUEMESTRE_VAULT_KEYS to its value.\n"
    )
