"""What the drill shares."""

import pytest

from drill.case import proxy
from scripted.certificates import the_authority


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    """The path of what is trusted: the test authority, and a proxy's."""
    path = tmp_path_factory.mktemp("roots") / "roots.pem"
    path.write_bytes(the_authority().pem + proxy().cert_pem.bytes())
    return str(path)
