"""The database of the suite itself: a copy of a migrated one for each worker, as it was first behind real commits."""

import contextlib
import functools
import importlib
import shutil

from django.apps import apps
from django.db import connection

from cluster import migrated
from cluster.postgresql import new_database
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Instance, Stream

FILLING = ("0002_first_rows", "0010_streams_in_full")  # the migrations that make rows
KEPT = {"django_content_type", "auth_permission"}  # Django's, made when it migrates


@contextlib.contextmanager
def copied():
    """The default database is such a copy, with the first rows only."""
    with contextlib.ExitStack() as things:
        connection.settings_dict["NAME"] = things.enter_context(_copy())
        things.callback(connection.close)
        restore()
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


def restore():
    """Leave the rows that migrations make and no other of ours. No constraint asks before the transaction ends.

    They are committed: a test that only reads and rolls back finds them, and need not make them.
    """
    connection.close_if_unusable_or_obsolete()
    with writing(), connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"DELETE FROM {table}")
        for model, rows in _first_rows().items():
            model.objects.bulk_create(rows, ignore_conflicts=True)


@functools.cache
def _first_rows():
    """They are made once, where there are none, and inserted as they were: to make them takes 8 ms."""
    for name in FILLING:
        importlib.import_module(f"vaguemestre.ledger.migrations.{name}").fill(apps, None)
    return {model: list(model.objects.all()) for model in (Instance, Stream)}


@functools.cache
def _tables():
    return sorted(set(connection.introspection.django_table_names(only_existing=True)) - KEPT)
