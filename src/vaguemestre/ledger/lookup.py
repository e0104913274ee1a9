"""Finding connections: by public id or by name, and held while they change. And what has a key, by it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Model, QuerySet

from vaguemestre.ledger import fields
from vaguemestre.ledger.database import storable
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.refusals import Missing


@dataclass(frozen=True)
class Named:
    """A connection as people know it."""

    uid: str
    name: str


def named(connection_id: int) -> Named | None:
    """What people call the connection of that row; None where there is none."""
    found = Connection.objects.filter(pk=connection_id).values_list("uid", "name").first()
    return None if found is None else Named(str(found[0]), found[1])


def find(key: str) -> Connection:
    """The connection of that public id or name.

    Raises:
        Missing: there is none.
    """
    existing = Connection.objects.filter(deleted_at=None)
    try:
        found = existing.filter(uid=UUID(key)).first()
    except ValueError:
        found = existing.filter(name_key=fields.name_key(key)).first() if storable(key) else None
    if found is None:
        raise Missing("connection", key)
    return found


def keyed[M: Model](table: QuerySet[M], kind: str, key: str) -> M:
    """The row of that key.

    Raises:
        Missing: there is none.
    """
    found = table.filter(key=key).first() if storable(key) else None
    if found is None:
        raise Missing(kind, key)
    return found


def locked(key: str) -> Connection:
    """The same, kept from every other change until the transaction ends: a courier writes its health."""
    return Connection.objects.select_for_update(no_key=True).get(pk=find(key).pk)


def all_connections() -> list[Connection]:
    """All that are not deleted, by name."""
    return list(Connection.objects.filter(deleted_at=None).order_by("name_key"))
