"""What a person does with a message: release, cancel, resend, and answer a doubt.

An answer to a doubt carries the attempt that the person saw: a second click, or an older page, is a conflict
that is shown calmly (409) on the page as it is now. A page sends a message once more only once, however often
its button is pressed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from vaguemestre.console.messages.views import detail_page
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import idempotency, messages, sending
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.wording import describe

PAGE_KEY = 64  # characters


@require_POST
def release(request: HttpRequest, uid: object) -> HttpResponse:
    """Route what waits, now."""
    paused = sending.paused() is not None
    words = _("It leaves as soon as sending goes on.") if paused else _("The message goes out now.")
    return _act(request, uid, lambda key: messages.release(key, actor(request), timezone.now()), words)


@require_POST
def cancel(request: HttpRequest, uid: object) -> HttpResponse:
    """End what has not left."""
    words = _("What had not left yet is cancelled.")
    return _act(request, uid, lambda key: messages.cancel(key, actor(request), timezone.now()), words)


@require_POST
def resend(request: HttpRequest, uid: object) -> HttpResponse:
    """The same content once more, as a new message: one for each page that was shown."""
    words = _("A new message with the same content is on its way.")
    page = request.POST.get("page", "")[:PAGE_KEY] or uuid4().hex
    by, now = actor(request), timezone.now()

    def send(key: str) -> tuple[int, dict[str, Any]]:
        return 200, {"uid": str(messages.resend(key, by, now).uid)}

    def once(key: str) -> Message:
        _, made, _ = idempotency.once(by, f"resend {key} {page}", key, now, lambda: send(key))
        return messages.find(made["uid"])

    return _act(request, uid, once, words)


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
