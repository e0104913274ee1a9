"""Forms that stood open while somebody else saved: their change is not undone unseen.

A page of a form holds, as `seen`, a mark of each value that it was made from, and the form brings it back.
Where one of them is another by now, nothing is saved (409): the page says so, and shows what was typed, but
the other person's values where the form had left its own alone; sent again, it is taken. What comes without a
mark is taken as it is. The comparison belongs to the transaction that saves, during which nobody else does:
of two who save in the same moment, one is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

import orjson
from django import forms
from django.contrib import messages
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from vaguemestre.ledger import instance

NAME = "seen"

type Values = Mapping[str, object]


class Overtaken(Exception):
    """Somebody else saved since the posted form was made.

    Attributes:
        values: what is saved by now.
        changed: the names of those that are others than the form was made from.
    """

    def __init__(self, values: Values, changed: set[str]) -> None:
        super().__init__(", ".join(sorted(changed)))
        self.values, self.changed = values, changed


def marked(request: HttpRequest, values: Values, overtaken: Overtaken | None = None) -> str:
    """What a page holds as `seen`: its own mark of what is saved, or the one that was posted.

    Args:
        request: a page that shows again what was posted still stands on what was seen then.
        values: what is saved.
        overtaken: the page tells of what was saved meanwhile, and stands on that.
    """
    if overtaken is not None:
        return orjson.dumps(_marks(overtaken.values)).decode()
    return request.POST.get(NAME) or orjson.dumps(_marks(values)).decode()


@contextmanager
def saving(request: HttpRequest, saved: Callable[[], Values]) -> Iterator[None]:
    """The transaction in which a posted form is saved, unless it was overtaken.

    Args:
        request: of the form; the reader is told where nothing is saved.
        saved: reads what is saved, which from then on nobody else changes.

    Raises:
        Overtaken: it was.
    """
    with instance.alone():
        values = saved()
        seen, now = _seen(request.POST), _marks(values)
        changed = {name for name in now if name in seen and seen[name] != now[name]}
        if not changed:
            yield
    if changed:
        messages.error(
            request,
            _(
                "Nothing is saved: somebody else saved this while your page was open. What you typed still"
                " stands here, with their changes where you had none. Look at it, then save again to have it"
                " so."
            ),
        )
        raise Overtaken(values, changed)


def merged(posted: QueryDict, overtaken: Overtaken) -> QueryDict:
    """What was posted, with what somebody else saved where the form had left its own value alone."""
    seen, data = _seen(posted), posted.copy()
    for name in overtaken.changed:
        if seen[name] == _mark(posted.get(name, "")):
            data[name] = _plain(overtaken.values[name])
            if not data[name]:
                del data[name]  # as a box that is not ticked
    return data


def tell(form: forms.Form, overtaken: Overtaken) -> None:
    """Say it at each field."""
    for name in overtaken.changed & form.fields.keys():
        form.add_error(name, _("Changed meanwhile by somebody else."))


def _seen(posted: QueryDict) -> dict[str, str]:
    try:
        seen = orjson.loads(posted.get(NAME, "{}"))
    except orjson.JSONDecodeError:
        return {}
    return seen if isinstance(seen, dict) else {}


def _marks(values: Values) -> dict[str, str]:
    return {name: _mark(value) for name, value in values.items()}


def _mark(value: object) -> str:
    return sha256(_plain(value).encode()).hexdigest()[:12]


def _plain(value: object) -> str:
    """As a browser posts it, but for the ends of lines."""
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value).replace("\r\n", "\n").rstrip("\n")
