"""What names a connection as its own: streams, forms, and whatever else is configured to leave through one.

A connection is not deleted while something refers to it. Who adds a kind of such things adds its question to
`KINDS`, and how it is given another connection to `departing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Q

from vaguemestre.ledger.models import Connection, Form, Stream

FORM_STREAM = "form-replies"  # that messages of forms belong to


class Kind(StrEnum):
    """What refers to a connection."""

    STREAM = "stream"
    FORM = "form"


@dataclass(frozen=True)
class Referrer:
    """One thing that leaves through a connection.

    Attributes:
        key: by which its page and its API find it.
        stream: the key of the stream that its messages belong to; None for none.
    """

    kind: Kind
    key: str
    name: str
    stream: str | None


def of(connection: Connection) -> list[Referrer]:
    """All that refer to it."""
    return [referrer for question in KINDS for referrer in question(connection)]


def overridden_forms(default: int) -> tuple[str, ...]:
    """The names of the forms whose own connection or reply address a default takes the place of."""
    own = Form.objects.filter(~Q(reply_to="") | (Q(connection__isnull=False) & ~Q(connection_id=default)))
    return tuple(own.order_by("name", "id").values_list("name", flat=True))


def _streams(connection: Connection) -> Iterable[Referrer]:
    found = Stream.objects.filter(connection=connection).order_by("-built_in", "id")
    return [Referrer(Kind.STREAM, stream.key, stream.name, stream.key) for stream in found]


def _forms(connection: Connection) -> Iterable[Referrer]:
    found = Form.objects.filter(connection=connection).order_by("name", "id")
    return [Referrer(Kind.FORM, form.key, form.name, FORM_STREAM) for form in found]


KINDS: list[Callable[[Connection], Iterable[Referrer]]] = [_streams, _forms]
