"""What the database keeps to be told from a copy of itself (fault D11): `policy.installation` compares it.

The place of an embedded database is the number and birth of its file, which a copy does not have; that of a
server's is the cluster's identifier and the database's number, which neither a dump that is loaded nor
another cluster has. A snapshot of the whole disk has all of it: nothing in it can tell.

`raise_mark` is called by a courier before and while it sends. The answer goes beside it after the commit: so
the mark is never ahead of the database, unless the database is older than it was.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from django.db import connection

from vaguemestre import inode
from vaguemestre.ledger.database import on_postgresql, rows
from vaguemestre.ledger.instance import alone
from vaguemestre.ledger.models import Instance
from vaguemestre.policy.installation import Kept, Mark, raised

_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'execute') AS granted"
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
_DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"


def kept() -> Kept:
    """What the database says of itself."""
    row = Instance.objects.values("identity", "place", "high_water").get()
    return Kept(row["identity"], row["place"], row["high_water"])


def place() -> str:
    """Where the database lies; "" if that cannot be told."""
    if on_postgresql():
        return _of_server()
    with suppress(OSError):
        return f"file {inode.named(Path(connection.settings_dict['NAME']))}"
    return ""


def raise_mark(now: datetime) -> Mark:
    """One further: what a courier keeps beside it. What has not been confirmed yet is, as it is found."""
    with alone():
        mine = Instance.objects.get()
        mine.identity = mine.identity or uuid4().hex
        mine.place = mine.place or place()
        mine.high_water = raised(mine.high_water, milliseconds(now))
        mine.save(update_fields=["identity", "place", "high_water"])
    return Mark(mine.identity, mine.high_water)


def milliseconds(now: datetime) -> int:
    """Since the epoch."""
    return int(now.timestamp() * 1000)


def _of_server() -> str:
    (asked,) = rows(_MAY_ASK, {})
    cluster = rows(_CLUSTER, {})[0]["system_identifier"] if asked["granted"] else "unknown"
    return f"cluster {cluster} database {rows(_DATABASE, {})[0]['oid']}"
