"""Applications: the API keys by which submitters are known. A key is shown once, when it is made.

With it stand the addresses at which it is taken, as another machine names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console.pages import actor
from vaguemestre.environment import Bind, Environment
from vaguemestre.ledger import keys, streams
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.stream_wording import stream_text
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid

SCOPES = {
    "send": (gettext_lazy("Send messages"), gettext_lazy("and see what became of its own")),
    "read": (gettext_lazy("Read all messages"), gettext_lazy("of every application")),
    "connections": (
        gettext_lazy("Manage connections"),
        gettext_lazy("change them, verify them, choose the default"),
    ),
    "admin": (gettext_lazy("Everything else"), gettext_lazy("keys and settings")),
}


@dataclass(frozen=True)
class Typed:
    """What was typed into the form, and what is wrong with it."""

    name: str = ""
    scopes: tuple[str, ...] = ("send",)
    dsn: bool = True
    name_error: str = ""
    scopes_error: str = ""


@dataclass(frozen=True)
class Listener:
    """An address at which the listener takes a key.

    Attributes:
        manner: STARTTLS or TLS; empty where it takes one from this machine only.
    """

    address: Bind
    manner: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The keys in use, then the revoked ones."""
    known = keys.all_keys()
    names = {stream.key: stream_text(stream.key, stream.name) for stream in streams.all_streams()}
    context = {
        "keys": [
            (key, [names.get(stream, stream) for stream in key.streams])
            for key in known
            if key.revoked_at is None
        ],
        "revoked": [key for key in known if key.revoked_at is not None],
    }
    return render(request, "console/keys/index.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a key; the answer shows it, once."""
    if request.method != "POST":
        return _form(request, Typed())
    name, scopes = request.POST.get("name", ""), tuple(request.POST.getlist("scopes"))
    dsn = "dsn" in request.POST
    try:
        key, text = keys.create(name, scopes, actor(request), timezone.now(), dsn=dsn)
    except Refusal as refusal:
        name_error, scopes_error = (_at(refusal.errors, field) for field in ("name", "scopes"))
        return _form(request, Typed(name, scopes, dsn, name_error, scopes_error), status=422)
    environment = settings.ENVIRONMENT
    context = {
        "key": key,
        "text": text,
        "api": f"{environment.base_url}/api/v1/messages",
        "listeners": _listeners(environment),
    }
    return render(request, "console/keys/made.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, uid: object) -> HttpResponse:
    """Revoke a key, once that was confirmed."""
    if request.method != "POST":
        return render(request, "console/keys/revoke.html", {"key": _found(str(uid))})
    try:
        key = keys.revoke(str(uid), actor(request), timezone.now())
    except Missing as missing:
        raise Http404(str(missing)) from None
    messages.success(
        request, _("The key of “%(name)s” is revoked; it opens nothing any more.") % {"name": key.name}
    )
    return redirect("keys:index")


def _listeners(environment: Environment) -> list[Listener]:
    wanted = {"STARTTLS": environment.submission_bind, "TLS": environment.submission_tls_bind}
    return [_listener(environment, manner, bind) for manner, bind in wanted.items() if bind is not None]


def _listener(environment: Environment, manner: str, bind: Bind) -> Listener:
    """One that listens everywhere is dialled by the name that the console has.

    Without a certificate a key is taken from this machine alone: in the clear it goes no further.
    """
    address = ip_address(bind.host)
    local = environment.submission_certificate is None or address.is_loopback
    if address.is_unspecified:
        here = "127.0.0.1" if address.version == 4 else "::1"
        bind = replace(bind, host=here if local else urlsplit(environment.base_url).hostname or here)
    return Listener(bind, "" if local else manner)


def _found(uid: str) -> ApiKey:
    for key in keys.all_keys():
        if str(key.uid) == uid:
            return key
    raise Http404


def _at(faults: Iterable[Invalid], field: str) -> str:
    return " ".join(describe(fault) for fault in faults if fault.field == field)


def _form(request: HttpRequest, typed: Typed, status: int = 200) -> HttpResponse:
    return render(request, "console/keys/form.html", {"typed": typed, "scopes": SCOPES}, status=status)
