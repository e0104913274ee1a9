"""A real listener on a loop and thread of its own, a real ledger behind it, and raw sockets in front."""

import base64
from contextlib import ExitStack

import pytest
from django.utils import timezone

from submission.door import Door
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.terms import Terms
from vaguemestre.ledger import keys
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import (
    ApiKey,
    Chunk,
    Delivery,
    Event,
    Handover,
    Idempotency,
    Message,
    Parcel,
    Version,
)

USUAL = Limits()


@pytest.fixture
def _django_db_helper(django_db_setup, django_db_blocker):
    """In place of pytest-django's, whose flush of every table takes PostgreSQL 200 ms a test."""
    with django_db_blocker.unblock():
        yield
        with writing():
            for model in (
                Event, Delivery, Chunk, Message, Parcel, Handover, Idempotency, Version, ApiKey,
            ):  # fmt: skip
                model.objects.all().delete()


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
