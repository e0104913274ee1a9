"""Release or cancel all held messages that the list shows: told, then confirmed, some hundreds at a time."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages as notices
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from vaguemestre.console.pages import actor
from vaguemestre.ledger import many, sending
from vaguemestre.ledger.many import Decided
from vaguemestre.mail.state import DeliveryState

NAMED = 20  # messages that the page names


@require_http_methods(["GET", "HEAD", "POST"])
def decide(request: HttpRequest, act: str) -> HttpResponse:
    """What is going to be done to which messages; then it is done to exactly those."""
    if act not in {"release", "cancel"}:
        raise Http404
    search = request.GET.get("q", "").strip()
    shown = urlencode({"state": DeliveryState.HELD.value} | ({"q": search} if search else {}))
    back = f"{reverse('messages:index')}?{shown}"
    if request.method == "POST":
        _done(request, act, _named(request.POST.get("messages", "")))
        return redirect(back)
    found = many.chosen(search)
    if not found.messages:
        return redirect(back)
    context = {
        "act": act,
        "search": search,
        "back": back,
        "found": found,
        "number": len(found.messages),
        "named": found.messages[:NAMED],
        "unnamed": len(found.messages[NAMED:]),
    }
    return render(request, "console/messages/many.html", context)


def _named(text: str) -> list[UUID]:
    """The messages that the page named."""
    try:
        return [UUID(name) for name in text.split()[: many.MOST]]
    except ValueError:
        raise Http404 from None


def _done(request: HttpRequest, act: str, named: list[UUID]) -> None:
    """Do it, and tell what became of all of them."""
    now = timezone.now()
    if act == "cancel":
        decided = many.cancel(named, actor(request), now)
        words = ngettext("%(count)s message is cancelled.", "%(count)s messages are cancelled.", decided.done)
    else:
        decided = many.release(named, actor(request), now)
        words = _released(decided)
    if decided.done:
        notices.success(request, words % {"count": decided.done})
    if decided.unrouted:
        words = ngettext(
            "%(count)s message stays held: there is still no route for it.",
            "%(count)s messages stay held: there is still no route for them.",
            decided.unrouted,
        )
        notices.warning(request, words % {"count": decided.unrouted})
    gone = len({*named}) - decided.done - decided.unrouted
    if gone:
        words = ngettext(
            "%(count)s message was no longer held, and is left as it is.",
            "%(count)s messages were no longer held, and are left as they are.",
            gone,
        )
        notices.info(request, words % {"count": gone})


def _released(decided: Decided) -> str:
    if sending.paused() is not None:
        return ngettext(
            "%(count)s message leaves as soon as sending goes on.",
            "%(count)s messages leave as soon as sending goes on.",
            decided.done,
        )
    return ngettext("%(count)s message goes out now.", "%(count)s messages go out now.", decided.done)
