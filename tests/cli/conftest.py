from functools import partial

import pytest

from cli.installation import Installation
from cli.spoken import say
from cluster.migrated import on_sqlite as data_directory


@pytest.fixture(scope="session")
def migrated():
    """An installation with a database and keys; tests copy it."""
    return Installation(data_directory())


@pytest.fixture
def installation(migrated, tmp_path):
    """One of the test's own."""
    return migrated.copy_to(tmp_path / "data")


@pytest.fixture
def command(capsys, monkeypatch):
    """Run one on the test's own ledger."""
    return partial(say, capsys, monkeypatch)
