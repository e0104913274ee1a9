"""Whether mail is sent at all: pause it, and the two ways to resume it.

A form carries which pause its page showed: an older page, or a second click, is a conflict that is told
calmly (409) on the page as it is now. Cancelling what waits is asked for twice.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vaguemestre.console.pages import actor
from vaguemestre.console.sending.words import told
from vaguemestre.ledger import instance, leases, sending
from vaguemestre.ledger.instance import RulingKind
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.ledger.wording import describe


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Whether mail is sent, why not, and what to do."""
    return _page(request)


@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """Accept everything and send nothing."""
    try:
        sending.pause_by_hand(actor(request), timezone.now())
    except Conflict as conflict:
        return _page(request, conflict)
    messages.success(request, _("Sending is paused."))
    return redirect("sending:index")


@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Send again; what waits leaves."""
    return _resume(request, cancel_waiting=False)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest) -> HttpResponse:
    """Cancel what waited when the pause began, held or not, once that was confirmed; then send again."""
    if request.method == "POST":
        return _resume(request, cancel_waiting=True)
    paused = sending.paused()
    waiting = 0 if paused is None else sending.waiting(paused)
    if not waiting:
        return redirect("sending:index")
    return render(request, "console/sending/cancel.html", {"pause": told(paused), "waiting": waiting})


def _resume(request: HttpRequest, *, cancel_waiting: bool) -> HttpResponse:
    seen = request.POST.get("seen", "")
    try:
        done = sending.resume(actor(request), timezone.now(), cancel_waiting=cancel_waiting, seen=seen)
    except Conflict as conflict:
        return _page(request, conflict)
    if done.cancelled:
        words = ngettext(
            "Cancelled for %(count)s recipient.", "Cancelled for %(count)s recipients.", done.cancelled
        )
        messages.success(request, words % {"count": done.cancelled})
    messages.success(request, _("Sending goes on."))
    return redirect("sending:index")


def _page(request: HttpRequest, conflict: Conflict | None = None) -> HttpResponse:
    paused = sending.paused()
    context = {
        "pause": told(paused),
        "waiting": 0 if paused is None else sending.waiting(paused),
        "carried": instance.ruling().kind is not RulingKind.NONE,
        "courier": leases.courier_alive(timezone.now()),
        "conflict": "" if conflict is None else describe(conflict),
    }
    return render(request, "console/sending/index.html", context, status=200 if conflict is None else 409)
