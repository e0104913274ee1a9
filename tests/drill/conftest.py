"""What the drill shares."""

import sys
from pathlib import Path

import pytest

from drill.case import proxy
from scripted.certificates import the_authority

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """The texts come out of the compiled catalogues."""
    from compile_messages import compile_catalogues

    compile_catalogues()


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    """The path of what is trusted: the test authority, and a proxy's."""
    path = tmp_path_factory.mktemp("roots") / "roots.pem"
    path.write_bytes(the_authority().pem + proxy().cert_pem.bytes())
    return str(path)
