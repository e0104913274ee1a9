"""Applications: the API keys by which submitters are known. A key is shown once, when it is made.

With it stand the addresses at which it is taken, as another machine names them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console import kept
from vaguemestre.console.keys.forms import SCOPES, KeyForm, stream_choices
from vaguemestre.console.pages import actor
from vaguemestre.environment import Bind, Environment
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Missing, Refusal


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
    names = dict(stream_choices())
    context = {
        "keys": [
            (key, [names.get(stream, stream) for stream in key.streams])
            for key in known
            if key.revoked_at is None
        ],
        "revoked": [key for key in known if key.revoked_at is not None],
    }
    return render(request, "console/keys/index.html", context)


@kept.typed()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Make a key; the answer shows it, once."""
    if request.method != "POST":
        return _form(request, KeyForm(initial={"dsn": True}))
    typed = KeyForm(request.POST)
    name, dsn, values = request.POST.get("name", ""), "dsn" in request.POST, typed.typed()
    try:
        key, text = keys.create(name, actor=actor(request), now=timezone.now(), dsn=dsn, **values)
    except Refusal as refusal:
        typed.refuse(refusal.errors)
        return _form(request, typed, status=422)
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


def _form(request: HttpRequest, typed: KeyForm, status: int = 200) -> HttpResponse:
    context = {"typed": typed, "scopes": SCOPES, "streams": stream_choices()}
    return render(request, "console/keys/form.html", context, status=status)
