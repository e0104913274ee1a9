"""What views of every family share: who acts, and what was not found."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest

from vaguemestre.ledger.models import User
from vaguemestre.ledger.refusals import Missing


def actor(request: HttpRequest) -> str:
    """The person, as the journal names them."""
    return f"user:{request.user.email}" if isinstance(request.user, User) else "user:"


def or_404[T](find: Callable[[str], T], key: object) -> T:
    """What `find` finds; the page of things that do not exist otherwise."""
    try:
        return find(str(key))
    except Missing as missing:
        raise Http404(str(missing)) from None
