"""What a person does with a message: release, cancel, resend, and answer a doubt.

An answer to a doubt carries the attempt that the person saw: a second click, or an older page, is a conflict
that is shown calmly (409) on the page as it is now.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from vaguemestre.console.messages.views import detail_page
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import messages
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.wording import describe


@require_POST
def release(request: HttpRequest, uid: object) -> HttpResponse:
    """Route what waits, now."""
    words = _("The message goes out now.")
    return _act(request, uid, lambda key: messages.release(key, actor(request), timezone.now()), words)


@require_POST
def cancel(request: HttpRequest, uid: object) -> HttpResponse:
    """End what has not left."""
    words = _("What had not left yet is cancelled.")
    return _act(request, uid, lambda key: messages.cancel(key, actor(request), timezone.now()), words)


@require_POST
def resend(request: HttpRequest, uid: object) -> HttpResponse:
    """The same content once more, as a new message."""
    words = _("A new message with the same content is on its way.")
    return _act(request, uid, lambda key: messages.resend(key, actor(request), timezone.now()), words)


@require_POST
def resolve(request: HttpRequest, uid: object) -> HttpResponse:
    """Say that it arrived, or have it sent again."""
    outcome = "arrived" if request.POST.get("outcome") == "arrived" else "send_again"
    words = {"arrived": _("Noted as arrived."), "send_again": _("It is sent again.")}[outcome]

    def answer(key: str) -> Message:
        return messages.resolve(
            key,
            outcome,
            actor(request),
            timezone.now(),
            recipients=request.POST.getlist("recipient"),
            attempt=request.POST.get("attempt") or None,
        )

    return _act(request, uid, answer, words)


def _act(request: HttpRequest, uid: object, act: Callable[[str], Message], words: str) -> HttpResponse:
    message = or_404(messages.find, uid)
    try:
        after = act(str(uid))
    except Conflict as conflict:
        return detail_page(request, message, status=409, conflict=describe(conflict))
    except Refusal as refusal:
        told = " ".join(describe(fault) for fault in refusal.errors)
        return detail_page(request, message, status=422, conflict=told)
    notices.success(request, words)
    return redirect("messages:detail", uid=after.uid)
