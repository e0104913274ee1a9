from functools import partial

import pytest

from cli.installation import Installation
from cli.spoken import say


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An installation with a database and keys; tests copy it."""
    installation = Installation(tmp_path_factory.mktemp("installation") / "data")
    done = installation.run("migrate")
    assert done.returncode == 0, done.stderr
    return installation


@pytest.fixture
def installation(migrated, tmp_path):
    """One of the test's own."""
    return migrated.copy_to(tmp_path / "data")


@pytest.fixture
def command(capsys, monkeypatch):
    """Run one on the test's own ledger."""
    return partial(say, capsys, monkeypatch)
