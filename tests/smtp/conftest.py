"""What the tests of the wire share."""

from __future__ import annotations

import pytest

from scripted.certificates import the_authority
from scripted.client import loopback_network


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    """The path of the test authority's PEM."""
    return str(the_authority().write(tmp_path_factory.mktemp("roots")))


@pytest.fixture
def network(roots):
    """May dial loopback, and trusts the test authority."""
    return loopback_network(roots)
