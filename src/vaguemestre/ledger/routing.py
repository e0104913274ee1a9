"""The configuration as acceptance asks about it: read anew for every routing epoch, and kept in between.

Who asks has asked the database for its epoch first (L3). What changes meanwhile belongs to the next one, and
what was routed under this one is then routed anew. A change by another process is seen at once.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from vaguemestre.ledger import instance
from vaguemestre.ledger.fields import name_key
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.policy.routing import Configuration, ConnectionFacts

ANSWERS = 1_000  # decisions kept for those who ask the same again


@dataclass(frozen=True)
class StreamFacts:
    """What acceptance knows of a stream."""

    id: int
    key: str
    connection_id: int | None
    reply_to: str
    retry_age: float
    priority: str
    auto_submitted: str
    unsubscribe: bool


@dataclass(frozen=True)
class Routing:
    """The configuration at one routing epoch.

    Attributes:
        streams: by their keys.
        sparing: the keys of those that a recipient may unsubscribe from.
        uids: the connections' public ids, by their primary keys.
        keys: their primary keys, by public id and by name.
        answers: what was decided under it, by what was asked.
    """

    epoch: int
    configuration: Configuration
    streams: Mapping[str, StreamFacts]
    sparing: Collection[str | None]
    uids: Mapping[int, UUID]
    keys: Mapping[UUID | str, int]
    answers: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def connection(self, asked: str) -> ConnectionFacts | None:
        """The connection of that public id or name."""
        try:
            found = self.keys.get(UUID(asked))
        except ValueError:
            found = self.keys.get(name_key(asked))
        return None if found is None else self.configuration.find(found)


_kept: list[Routing] = []


def at(epoch: int) -> Routing:
    """The configuration at the routing epoch of this moment, which was asked a moment ago."""
    for known in _kept:
        if known.epoch == epoch:
            return known
    found = _read(epoch)
    # A change that is undone takes its epoch with it, and the next one has the same number: nothing that was
    # read beside it may stay.
    transaction.on_commit(lambda: _keep(found))
    return found


def latest() -> Routing | None:
    """What was read last, for those who look at the epoch later."""
    return _kept[0] if _kept else None


def forget() -> None:
    """Keep nothing: another database stands behind the connection."""
    _kept.clear()


def _keep(found: Routing) -> None:
    _kept[:] = [found]


def _read(epoch: int) -> Routing:
    configuration = instance.configuration()
    # Behind it, and all: whatever it holds has a public id here. What was deleted is not found by it.
    named = list(Connection.objects.values_list("pk", "uid", "name_key", "deleted_at"))
    columns = Stream.objects.values_list(
        "id", "key", "connection_id", "reply_to", "retry_age", "priority", "auto_submitted", "unsubscribe"
    )
    streams = {facts.key: facts for facts in [StreamFacts(*values) for values in columns]}
    uids = {key: uid for key, uid, _, _ in named}
    names = {folded: key for key, _, folded, deleted in named if deleted is None}
    return Routing(
        epoch,
        configuration,
        streams,
        frozenset([key for key, facts in streams.items() if facts.unsubscribe]),
        uids,
        names | {uid: key for key, uid in uids.items()},
    )
