"""What was typed into a form after its session had ended is not lost (WCAG 2.2, technique G181).

The page for signing in carries it, signed, as a hidden field; whoever has signed in gets a page that sends it
on, and nothing is done before they say so. The same page comes where a form is older than the last signing
in, if the browser says that it is ours (its token is another one then).

Promises: nothing is stored on the server, and no secret travels in the page: one that was typed is asked for
again. Only views that say so (`typed`) take part, each with its secrets. What is large or a day old is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from allauth.account.forms import LoginForm
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.csrf import csrf_failure

from vaguemestre.ledger.models import User

FIELD = "kept"
AGE = 24 * 3600  # seconds
MOST = 1 << 20  # bytes of a form
_SALT = "vaguemestre.console.kept"
_OURS = "CSRF token"  # how Django begins to say what is wrong with a token, once it has looked at the origin

type View = Callable[..., Any]


def typed[V: View](**secrets: str) -> Callable[[V], V]:
    """Have what is posted to a view kept, but for its secrets: name -> label, a message id."""

    def mark(view: V) -> V:
        view.keeps = secrets  # type: ignore[attr-defined]
        return view

    return mark


def keeps(request: HttpRequest, view: View) -> bool:
    """Whether what was posted to a view is kept: nobody types as much as strangers could send."""
    return hasattr(view, "keeps") and int(request.META.get("CONTENT_LENGTH") or 0) <= MOST


def login_page(request: HttpRequest, view: View) -> HttpResponse:
    """The page for signing in, with what was posted: nothing is done yet."""
    carried = signing.dumps(_posted(request, view), salt=_SALT, compress=True)
    context = {"form": LoginForm(request=request), "kept": carried, "next": _back(request)}
    return render(request, "account/login.html", context, status=403)


def by_script(request: HttpRequest) -> bool:
    """Whether a piece of a page is asked for."""
    return "HX-Request" in request.headers or request.headers.get("Sec-Fetch-Mode") == "cors"


def signed_out(request: HttpRequest) -> HttpResponse:
    """What a script gets and tells: its page stays, with what is typed into it."""
    return render(request, "console/signed_out.html", status=403)


def sending_on(request: HttpRequest, user: User) -> HttpResponse | None:
    """The page that sends on what came along with the signing in; None where nothing did."""
    try:
        found = signing.loads(request.POST.get(FIELD, ""), salt=_SALT, max_age=AGE)
    except signing.BadSignature:
        return None
    with override(user.language or None):
        return _page(request, found, 200)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that is older than the last signing in is not lost either, if the origin is ours."""
    view = request.resolver_match.func if request.resolver_match else None
    ours = "Origin" in request.headers and reason.startswith(_OURS)
    if view is None or not keeps(request, view) or not ours:
        return csrf_failure(request, reason)
    if by_script(request):
        return signed_out(request)
    if not request.user.is_authenticated:
        return login_page(request, view)
    return _page(request, _posted(request, view), 403)


def _posted(request: HttpRequest, view: View) -> dict[str, Any]:
    secrets: dict[str, str] = view.keeps  # type: ignore[attr-defined]
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in secrets and name != "csrfmiddlewaretoken"
        for value in values
    ]
    again = [(name, label) for name, label in secrets.items() if request.POST.get(name)]
    return {"path": request.get_full_path(), "back": _back(request), "fields": fields, "again": again}


def _back(request: HttpRequest) -> str:
    """The page of the form: what it was posted to may be another one."""
    from_ = urlsplit(request.headers.get("Referer", ""))
    return from_._replace(scheme="", netloc="").geturl() if from_.netloc == request.get_host() else "/"


def _page(request: HttpRequest, found: dict[str, Any], status: int) -> HttpResponse:
    context = found | {"again": [(name, _(label)) for name, label in found["again"]]}
    return render(request, "console/kept.html", context, status=status)
