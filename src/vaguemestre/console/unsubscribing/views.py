"""The link to unsubscribe, for recipients: nobody signs in here.

A click in a mail program is a POST without cookies, and that is all it needs (RFC 8058 §3.2). A GET changes
nothing, since scanners follow links: it shows a page with a button. The link itself is the authority, and
there is nothing else that a form's token would protect. A body beyond what a click sends is not read.
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from vaguemestre.ledger import unsubscribing
from vaguemestre.ledger.stream_wording import stream_text

MOST = 4_096  # octets of a body: a click sends some dozens


@csrf_exempt
@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """A page with a button; a POST does it, and may take it back."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST:
        return HttpResponse(status=413)
    wanted = unsubscribing.subscription(token)
    if wanted is None:
        return render(request, "console/unsubscribing/not_ours.html", status=404)
    again = request.POST.get("again") == "yes"
    if request.method == "POST" and again:
        unsubscribing.subscribe_again(wanted.stream, wanted.address)
    elif request.method == "POST":
        unsubscribing.unsubscribe(wanted, timezone.now())
    context = {
        "name": stream_text(wanted.stream.key, wanted.stream.name),
        "address": wanted.address,
        "done": unsubscribing.has_unsubscribed(wanted),
        "again": again,
    }
    return render(request, "console/unsubscribing/index.html", context)
