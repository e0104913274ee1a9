"""What the tests of verification share."""

from __future__ import annotations

import threading
import time

import pytest
from django.utils import translation

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


@pytest.fixture(autouse=True)
def _english():
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    end = time.monotonic() + 3
    while any(thread.name == "verification" for thread in threading.enumerate()):
        assert time.monotonic() < end, "a verification outlived its test"
        time.sleep(0.01)
