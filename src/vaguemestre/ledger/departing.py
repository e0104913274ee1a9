"""Deleting a connection together with what becomes of the things that name it: nothing is left dangling.

One transaction: streams, and whatever else refers to the connection, get another one or none, and the
connection goes. A refusal of either changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vaguemestre.ledger import connections, forms, referrers, streams
from vaguemestre.ledger.connections import Successor
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.referrers import Kind
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.errors import Invalid

type Give = Callable[[str, str | None, str, datetime], object]


@dataclass(frozen=True)
class Reassign:
    """What named the connection names `uid` then; None for no connection of its own."""

    uid: str | None


def delete(
    uid: str, actor: str, now: datetime, successor: Successor | None = None, reassign: Reassign | None = None
) -> None:
    """Delete a connection; what refers to it is given another one first, if that was said.

    Raises:
        Missing, Refusal: the other one is unknown, or this very one.
        Conflict: something names it and where that goes was not said; or the default would go, likewise.
    """
    with writing():
        if reassign is not None:
            _give(uid, reassign.uid, actor, now)
        connections.delete(uid, actor, now, successor)


def _give(uid: str, heir: str | None, actor: str, now: datetime) -> None:
    going = connections.find(uid)
    if heir is not None and _same(heir, going):
        message = "Choose another connection than the one that goes."
        raise Refusal(Invalid("reassign", "reassign_itself", message))
    for referrer in referrers.of(going):
        GIVING[referrer.kind](referrer.key, heir, actor, now)


def _same(heir: str, going: Connection) -> bool:
    try:
        return connections.find(heir).pk == going.pk
    except Missing:
        raise Refusal(Invalid("reassign", "connection_unknown", f"There is no connection {heir}.")) from None


def _to_stream(key: str, heir: str | None, actor: str, now: datetime) -> object:
    return streams.edit(key, {"connection": heir}, actor, now)


def _to_form(key: str, heir: str | None, actor: str, now: datetime) -> object:
    return forms.edit(key, {"connection": heir}, actor, now)


GIVING: dict[Kind, Give] = {Kind.STREAM: _to_stream, Kind.FORM: _to_form}
