"""The compiled translations: visitors read French here."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    from compile_messages import compile_catalogues

    compile_catalogues()
