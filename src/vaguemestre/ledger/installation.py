"""What the database keeps to be told from a copy of itself (fault D11): `policy.installation` compares it.

The place of an embedded database is the number and birth of its file, which a copy does not have; that of a
server's is the cluster's identifier and the database's number, which neither a dump that is loaded nor
another cluster has. A snapshot of the whole disk has all of it: nothing in it can tell.

`raise_mark` is called by a courier before and while it sends. The answer goes beside it after the commit: so
the mark is never ahead of the database, unless the database is older than it was. The place is kept once the
mark lies there (`confirm`). All of it is a row of its own, since every stage holds the instance's.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from django.db import connection

from vaguemestre import inode
from vaguemestre.ledger.database import on_postgresql, rows, writing
from vaguemestre.ledger.models import Delivery, Installation
from vaguemestre.policy.installation import Kept, Mark, raised

_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'execute') AS granted"
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
_DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"


def kept() -> Kept:
    """What the database says of itself."""
    row = Installation.objects.first()
    if row is None:
        return Kept("", "", 0, Delivery.objects.exists())
    return Kept(row.identity, row.place, row.high_water)


def place() -> str:
    """Where the database lies, in parts `name=value`; "" if that cannot be told."""
    if on_postgresql():
        return _of_server()
    with suppress(OSError):
        return inode.named(Path(connection.settings_dict["NAME"]))
    return ""


def raise_mark(now: datetime, reached: int = 0) -> Mark:
    """One further than ever, and than what was `reached`: what a courier keeps beside it."""
    with writing():
        mine, _ = Installation.objects.select_for_update().get_or_create(
            id=1, defaults={"identity": uuid4().hex}
        )
        mine.high_water = raised(max(mine.high_water, reached), milliseconds(now))
        mine.save(update_fields=["high_water"])
    return Mark(mine.identity, mine.high_water)


def confirm() -> None:
    """Its place is where it is found, unless it had one: there is a mark beside a courier now."""
    Installation.objects.filter(place="").update(place=place())


def take_as_found(now: datetime, reached: int) -> None:
    """A person says that it is no copy: the next courier marks it as it is, newer than every mark."""
    raise_mark(now, reached)
    Installation.objects.update(place="")


def milliseconds(now: datetime) -> int:
    """Since the epoch."""
    return int(now.timestamp() * 1000)


def _of_server() -> str:
    (asked,) = rows(_MAY_ASK, {})
    cluster = f"cluster={rows(_CLUSTER, {})[0]['system_identifier']} " if asked["granted"] else ""
    return f"{cluster}database={rows(_DATABASE, {})[0]['oid']}"
