"""D11 on a server: a copy of a database lies elsewhere, though all of its rows say where the original lay."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from cluster import migrated
from cluster.postgresql import new_database
from ledger.kit import NOW, on_postgresql
from vaguemestre.ledger import installation
from vaguemestre.policy.installation import PauseWhy, discord

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgresql(), reason="of a server's databases"),
]


def name_of(url):
    return url.rpartition("/")[2]


def within(url, job):
    """What the function answers on another database, whose connection is closed again."""

    def call():
        connection.settings_dict = connection.settings_dict | {"NAME": name_of(url)}
        try:
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result()


def marked():
    installation.raise_mark(NOW)
    installation.confirm()
    return found()


def found():
    return installation.kept(), installation.place()


def test_a_database_copied_within_its_server_is_told_by_its_place_alone():
    with new_database(migrated.TEMPLATE) as url:
        original = within(url, marked)
        with new_database(name_of(url)) as copied:
            copy = within(copied, found)
    assert copy[0] == original[0]
    lay, lies = (dict(part.split("=") for part in place.split()) for _, place in (original, copy))
    assert (lay.keys(), lay["cluster"]) == ({"cluster", "database"}, lies["cluster"])
    assert lay["database"] != lies["database"]
    told = [discord(*one, None, embedded=False) for one in (original, copy)]
    assert told == [None, PauseWhy.ELSEWHERE]
