"""What every test may use."""

import os
import shutil

import pytest


def pytest_collection_modifyitems(items):
    """A test that needs a program is skipped without it, unless VAGUEMESTRE_TEST_REQUIRE=all."""
    for item in items:
        for mark in item.iter_markers("needs"):
            missing = [name for name in mark.args if shutil.which(name, path=_path()) is None]
            if missing and os.environ.get("VAGUEMESTRE_TEST_REQUIRE") != "all":
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


def _path():
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
