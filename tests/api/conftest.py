"""A key that may do everything, and a connection, on a real database."""

import pytest

from api.client import ALL, connection, key_with


@pytest.fixture
def api(db):
    """A client whose key may do everything."""
    return key_with(*ALL)


@pytest.fixture
def office(db):
    """An active connection."""
    return connection("Office")
