"""Communications: each stream with the connection that would carry it now and the rule that decides; and why.

`explain` asks the router about a message that does not exist: every rule is told, matched or passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vaguemestre.console import kept, overtaking
from vaguemestre.console.communications.forms import StreamForm
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import connections, instance, streams, unsubscribing
from vaguemestre.ledger.accept import explain as ask
from vaguemestre.ledger.models import Connection, Stream
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.stream_wording import rules_told, stream_text
from vaguemestre.ledger.wording import describe, reason_text
from vaguemestre.policy.decision import Decision, ReasonCode, Route

OPT_OUTS = 100  # shown, the latest


@dataclass(frozen=True)
class Way:
    """Where a message goes now.

    Attributes:
        carrier: None where it is held.
        sender: the From that leaves; "" for the message's own.
        reply_to: the Reply-To that leaves; "" for none.
        by_from: that depends on the From of each message.
    """

    carrier: Connection | None
    why: str
    sender: str
    reply_to: str
    by_from: bool


@dataclass(frozen=True)
class Row:
    """A stream as the page shows it."""

    stream: Stream
    name: str
    way: Way


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The streams."""
    rows = [
        Row(stream, stream_text(stream.key, stream.name), way_of(ask(stream.key, None, None)))
        for stream in streams.all_streams()
    ]
    return render(request, "console/communications/index.html", {"rows": rows, "ruling": instance.ruling()})


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A stream of one's own."""
    if request.method != "POST":
        return _page(request, StreamForm.empty(), None)
    form = StreamForm(request.POST)
    try:
        values = {"key": request.POST.get("key", "")} | form.typed()
        stream = streams.create(values, actor(request), timezone.now())
    except Refusal as refusal:
        form.refuse(refusal.errors)
        return _page(request, form, None, status=422)
    messages.success(request, _("“%(name)s” is saved.") % {"name": stream.name})
    return redirect("communications:index")


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: str) -> HttpResponse:
    """All that a stream is."""
    stream = or_404(streams.find, key)
    if request.method != "POST":
        return _page(request, StreamForm.of(stream), stream)
    form = StreamForm(request.POST)
    try:
        with overtaking.saving(request, lambda: StreamForm.of(or_404(streams.find, key)).initial):
            streams.edit(key, _changed_name(form.typed(), stream), actor(request), timezone.now())
    except Overtaken as overtaken:
        form = StreamForm(overtaking.merged(request.POST, overtaken))
        overtaking.tell(form, overtaken)
        return _page(request, form, stream, 409, overtaken)
    except Refusal as refusal:
        form.refuse(refusal.errors)
        return _page(request, form, stream, status=422)
    messages.success(request, _("“%(name)s” is saved.") % {"name": form["name"].value()})
    return redirect("communications:index")


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str) -> HttpResponse:
    """Delete a stream of one's own, once that was confirmed."""
    stream = or_404(streams.find, key)
    refused, status = "", 200
    if request.method == "POST":
        try:
            streams.delete(key, actor(request), timezone.now())
        except Conflict as conflict:
            refused, status = describe(conflict), 409
        else:
            messages.success(request, _("“%(name)s” is deleted.") % {"name": stream.name})
            return redirect("communications:index")
    context = {"stream": stream, "refused": refused}
    return render(request, "console/communications/delete.html", context, status=status)


@require_POST
def subscribe_again(request: HttpRequest, key: str) -> HttpResponse:
    """Let an address have the stream again, at its owner's wish."""
    stream, address = or_404(streams.find, key), request.POST.get("address", "")
    if unsubscribing.subscribe_again(stream, address):
        messages.success(request, _("%(address)s is subscribed again.") % {"address": address})
    return redirect("communications:edit", key=key)


@require_safe
def explain(request: HttpRequest) -> HttpResponse:
    """Which connection would carry a message, with every rule."""
    asked = {name: request.GET.get(name, "").strip() for name in ("stream", "from", "connection")}
    context: dict[str, object] = {
        "asked": asked,
        "streams": [(one.key, stream_text(one.key, one.name)) for one in streams.all_streams()],
        "connections": connections.all_connections(),
    }
    try:
        decision = ask(asked["stream"] or None, asked["from"] or None, asked["connection"] or None)
        context |= {"way": way_of(decision), "rules": rules_told(rule.as_json() for rule in decision.rules)}
    except Refusal as refusal:
        context |= {"errors": {fault.field: describe(fault) for fault in refusal.errors}}
    status = 422 if "errors" in context else 200
    return render(request, "console/communications/explain.html", context, status=status)


def _changed_name(values: dict[str, object], stream: Stream) -> dict[str, object]:
    """A built-in name that was shown translated and left alone is not a new name."""
    if values["name"] == stream_text(stream.key, stream.name):
        values["name"] = stream.name
    return values


def way_of(decision: Decision) -> Way:
    """Where that decision sends a message."""
    why = reason_text(decision.reason.as_json())
    if not isinstance(decision, Route):
        return Way(None, why, "", "", by_from=decision.reason.code is ReasonCode.AMBIGUOUS)
    return Way(
        Connection.objects.get(pk=decision.connection_id),
        why,
        "" if decision.sender is None else decision.sender.header(),
        decision.reply_to or "",
        by_from=decision.reason.code is ReasonCode.DEFAULT_FALLBACK,
    )


def _page(
    request: HttpRequest,
    form: StreamForm,
    stream: Stream | None,
    status: int = 200,
    overtaken: Overtaken | None = None,
) -> HttpResponse:
    form.offer(connections.all_connections())
    name = stream_text(stream.key, stream.name) if stream else ""
    gone = unsubscribing.of_stream(stream, OPT_OUTS) if stream and stream.pk else []
    saved = StreamForm.of(stream).initial if stream else {}
    base = settings.ENVIRONMENT.base_url
    links = stream is not None and stream.unsubscribe and not base.startswith("https://")
    context = {
        "form": form,
        "stream": stream,
        "seen": overtaking.marked(request, saved, overtaken),
        "name": name,
        "opt_outs": gone,
        "plain_links": links,
        "base": base,
    }
    return render(request, "console/communications/form.html", context, status=status)
