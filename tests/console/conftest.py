"""A person who is signed in, reading French, and the compiled translations."""

import sys
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client

from vaguemestre.ledger.models import User

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

PASSWORD = "un phare dans la brume"


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """What readers see comes out of the compiled catalogues."""
    from compile_messages import compile_catalogues

    compile_catalogues()


@pytest.fixture
def claire(db):
    cache.clear()  # what throttles logins is counted there
    return User.objects.create_user("claire@exemple.fr", PASSWORD, language="fr")


@pytest.fixture
def stranger(db):
    """A browser that nobody signed in to."""
    cache.clear()
    return Client(headers={"accept-language": "fr"})


@pytest.fixture
def page(claire):
    """A browser in which Claire is signed in."""
    client = Client(headers={"accept-language": "fr"})
    client.force_login(claire)
    return client
