"""People: who uses the console, inviting somebody, and letting somebody in no longer."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from vaguemestre.console import kept
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import membership, operators, passwords
from vaguemestre.ledger.models import Message, User
from vaguemestre.ledger.refusals import Conflict, Refusal
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.state import DeliveryState


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Everybody, and an invitation."""
    if request.method != "POST":
        return _page(request)
    email, language, now = (
        request.POST.get("email", "").strip(),
        request.POST.get("language", ""),
        timezone.now(),
    )
    try:
        person = membership.invite(email, language, actor(request), now)
        _tell(request, person, passwords.invite(person, _reader(request), now))
    except Refusal as refusal:
        errors = {fault.field: describe(fault) for fault in refusal.errors}
        return _page(request, email=email, chosen=language, errors=errors, status=422)
    return redirect("people:index")


@require_POST
def invite(request: HttpRequest, key: str) -> HttpResponse:
    """The link once more: the earlier one may have got lost or old."""
    person = or_404(membership.find, key)
    try:
        _tell(request, person, passwords.invite(person, _reader(request), timezone.now()))
    except Refusal as refusal:
        notices.error(request, " ".join(describe(fault) for fault in refusal.errors))
    return redirect("people:index")


@require_POST
def let_in(request: HttpRequest, key: str) -> HttpResponse:
    """Deactivate, or let in again."""
    person, may = or_404(membership.find, key), request.POST.get("may") == "on"
    try:
        membership.let_in(person, may=may, by=_reader(request), now=timezone.now())
        words = _("%(email)s may come in again.") if may else _("%(email)s comes in no more.")
        notices.success(request, words % {"email": person.email})
    except Conflict as conflict:
        notices.error(request, describe(conflict))
    return redirect("people:index")


@require_POST
def alerts(request: HttpRequest) -> HttpResponse:
    """Whether the reader is told of alerts by mail."""
    wanted = request.POST.get("alerts") == "on"
    operators.want(_reader(request), alerts=wanted, now=timezone.now())
    words = (
        _("You get alerts by mail, at most one in half an hour.")
        if wanted
        else _("You get no alerts by mail.")
    )
    notices.success(request, words)
    return redirect("people:index")


def _tell(request: HttpRequest, person: User, message: Message | None) -> None:
    """Whether the invitation is on its way, or waits."""
    held = message is None or message.delivery_set.filter(state=DeliveryState.HELD).exists()
    if held:
        words = _(
            "No message can leave now, so the invitation of %(email)s waits. On the machine: %(command)s"
        )
        command = f"vaguemestre admin password --email {person.email}"
        notices.warning(request, words % {"email": person.email, "command": command})
    else:
        notices.success(request, _("An invitation is on its way to %(email)s.") % {"email": person.email})


def _reader(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("pages of the console are for people who are signed in")
    return request.user


def _page(
    request: HttpRequest,
    email: str = "",
    chosen: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "people": membership.everybody(),
        "languages": settings.LANGUAGES,
        "email": email,
        "chosen": chosen or settings.LANGUAGE_CODE,
        "errors": errors or {},
    }
    return render(request, "console/people/index.html", context, status=status)
