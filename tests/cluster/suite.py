"""The database of the suite itself: a copy of a migrated one for each worker, emptied behind real commits."""

import contextlib
import functools
import shutil

from django.db import connection

from cluster import migrated
from cluster.postgresql import new_database
from vaguemestre.ledger.database import writing

KEPT = {"django_content_type", "auth_permission"}  # Django's, made when it migrates


@contextlib.contextmanager
def copied():
    """The default database is such a copy, without any row of ours."""
    with contextlib.ExitStack() as things:
        connection.settings_dict["NAME"] = things.enter_context(_copy())
        things.callback(connection.close)
        empty()
        yield


@contextlib.contextmanager
def _copy():
    """Its name."""
    if connection.vendor == "sqlite":
        yield shutil.copy(migrated.on_sqlite() / "vaguemestre.sqlite3", connection.settings_dict["NAME"])
        return
    migrated.opened_on_postgresql()
    with new_database(migrated.TEMPLATE) as url:
        yield url.rpartition("/")[2]


def empty():
    """Delete all rows of ours. No constraint asks before the transaction ends."""
    connection.close_if_unusable_or_obsolete()
    with writing(), connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"DELETE FROM {table}")


@functools.cache
def _tables():
    return sorted(set(connection.introspection.django_table_names(only_existing=True)) - KEPT)
