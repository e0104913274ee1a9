"""What every test may use."""

import importlib
import os
import shutil

import pytest


def pytest_collection_modifyitems(config, items):
    """Leave out what another run shows.

    A test that needs a program is skipped without it, unless VAGUEMESTRE_TEST_REQUIRE=all. What does not
    depend on the database runs on SQLite.
    """
    if os.environ.get("VAGUEMESTRE_TEST_DATABASE") == "postgresql":
        elsewhere = [item for item in items if item.get_closest_marker("any_database")]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
    for item in items:
        for mark in item.iter_markers("needs"):
            missing = [name for name in mark.args if shutil.which(name, path=_path()) is None]
            if missing and os.environ.get("VAGUEMESTRE_TEST_REQUIRE") != "all":
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


def _path():
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@pytest.fixture(autouse=True)
def _first_rows(request):
    """The rows that migrations make, which a test with real commits flushes for those behind it."""
    uses = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if not uses and request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue("_django_db_helper")
    from django.apps import apps

    migration = importlib.import_module("vaguemestre.ledger.migrations.0002_first_rows")
    migration.fill(apps, None)
