"""A person who is signed in, reading French."""

import pytest
from django.core.cache import cache
from django.test import Client

from vaguemestre.ledger.models import User

PASSWORD = "un phare dans la brume"


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
