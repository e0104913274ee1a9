"""A real listener on a loop and thread of its own, a real ledger behind it, and raw sockets in front."""

import base64
from contextlib import ExitStack

import pytest
from django.utils import timezone

from submission.door import Door
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.terms import Terms
from vaguemestre.ledger import keys

USUAL = Limits()


@pytest.fixture
def ledger(transactional_db):
    """The test database, written by the listener's threads, so without a transaction around the test."""


@pytest.fixture
def key(ledger):
    """The text of an API key with the scope `send`."""
    return new_key()[1]


def new_key(scopes=("send",), **limits):
    return keys.create("tests", scopes, "cli:tests", timezone.now(), **limits)


@pytest.fixture
def open_door(ledger):
    """Opens listeners: `open_door(limits=..., trust=..., certificate=...)`."""
    with ExitStack() as doors:

        def opened(limits=USUAL, trust=(), certificate=None, tls=None, **more):
            if certificate is not None:
                context = certificate.context()
                tls = lambda: context  # noqa: E731
            terms = Terms("mx.example.org", limits, trust, tls)
            return doors.enter_context(Door(terms, **more))

        yield opened


@pytest.fixture
def door(open_door):
    """A listener with the usual limits."""
    return open_door()


def plain(user, key):
    """The response of AUTH PLAIN."""
    return base64.b64encode(f"\0{user}\0{key}".encode()).decode()
