"""Forms that stood open while somebody else saved: their change is not undone unseen.

A page of a form holds, as `seen`, a mark of each value that it was made from, and the form brings it back.
Where one of them is another by now, nothing is saved (409): the page says so, and shows what was typed, but
the other person's values where the form had left its own alone; sent again, it is taken. What comes without a
mark is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import orjson
from django import forms
from django.contrib import messages
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

NAME = "seen"

type Values = Mapping[str, object]


def marked(request: HttpRequest, values: Values, *, afresh: bool = False) -> str:
    """What a page holds as `seen`: its own mark of what is saved, or the one that was posted.

    Args:
        request: a page that shows again what was posted still stands on what was seen then.
        values: what is saved.
        afresh: the page tells of what was saved meanwhile.
    """
    return (not afresh and request.POST.get(NAME)) or orjson.dumps(_marks(values)).decode()


def overtaken(request: HttpRequest, values: Values) -> set[str]:
    """Which values somebody else changed since the posted form was made; also tells the reader."""
    seen, now = _seen(request.POST), _marks(values)
    changed = {name for name in now if name in seen and seen[name] != now[name]}
    if changed:
        messages.error(
            request,
            _(
                "Nothing is saved: somebody else saved this while your page was open. What you typed still"
                " stands here, with their changes where you had none. Look at it, then save again to have it"
                " so."
            ),
        )
    return changed


def merged(posted: QueryDict, values: Values, changed: set[str]) -> QueryDict:
    """What was posted, with what somebody else saved where the form had left its own value alone."""
    seen, data = _seen(posted), posted.copy()
    for name in changed:
        if seen[name] == _mark(posted.get(name, "")):
            data[name] = _plain(values[name])
            if not data[name]:
                del data[name]  # as a box that is not ticked
    return data


def tell(form: forms.Form, changed: set[str]) -> None:
    """Say it at each field."""
    for name in changed & form.fields.keys():
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
