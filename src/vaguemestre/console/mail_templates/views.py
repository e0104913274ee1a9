"""Templates: the list, and one with its parts, what it makes of sample data, and a test of it by mail."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from babel.core import Locale, UnknownLocaleError
from django.conf import settings
from django.contrib import messages as notices
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console import kept, overtaking
from vaguemestre.console.mail_templates import showing
from vaguemestre.console.mail_templates.draft import Draft
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor, or_404
from vaguemestre.ledger import streams, templates
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.ledger.models import Message
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.ledger.templates import Found
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox
from vaguemestre.templating.rendering import Rendered

TITLES = {
    "account-notification": gettext_noop("Account notification"),
    "alert": gettext_noop("Alerts to the operators"),
    "form-notification": gettext_noop("Notification of a form"),
    "form-reply": gettext_noop("Reply to a form"),
    "invitation": gettext_noop("Invitation"),
    "invoice": gettext_noop("Invoice"),
    "password-reset": gettext_noop("Password reset"),
    "report": gettext_noop("Report"),
}
TAG = "test"


@dataclass(frozen=True)
class Group:
    """The templates of one key."""

    key: str
    title: str
    templates: list[tuple[Found, str]]


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All templates, by key."""
    groups = [
        Group(key, title_of(key), [(one, language_name(one.language)) for one in found])
        for key, found in groupby(templates.all_templates(), key=lambda one: one.key)
    ]
    return render(request, "console/mail_templates/index.html", {"groups": groups})


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A template of one's own."""
    if request.method == "POST":
        return _act(request, Draft.typed(request.POST, None), None)
    stream = request.GET.get("stream", "")
    return _page(request, Draft(language=get_language() or "", stream=stream), None)


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: str, language: str) -> HttpResponse:
    """One template; what is saved takes the place of a starter."""
    stream = request.GET.get("stream", "")
    found = or_404(lambda name: templates.find(name, language, stream), key)
    if request.method == "POST":
        return _act(request, Draft.typed(request.POST, found), found)
    return _page(request, Draft.of(found), found)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str, language: str) -> HttpResponse:
    """Delete one's own, once that was confirmed; a starter takes its place again."""
    stream = request.GET.get("stream", "")
    found = or_404(lambda name: templates.find(name, language, stream), key)
    back = _address(key, language, stream)
    if request.method != "POST":
        context = {"found": found, "title": title_of(key), "back": back}
        return (
            render(request, "console/mail_templates/delete.html", context) if found.stored else redirect(back)
        )
    try:
        templates.delete(key, language, stream, actor(request), timezone.now())
    except Missing:
        return redirect("mail_templates:index")
    except Conflict as conflict:
        notices.error(request, describe(conflict))
        return redirect("mail_templates:index")
    words = _("The template that came with the product is back.") if found.replaces else _("Deleted.")
    notices.success(request, words)
    return redirect("mail_templates:index")


def title_of(key: str) -> str:
    """What people call a template."""
    return _(TITLES[key]) if key in TITLES else key


def _saved_sources(found: Found) -> dict[str, object]:
    return {name: getattr(found.sources, name) for name in ("subject", "text", "html")}


def _act(request: HttpRequest, draft: Draft, found: Found | None) -> HttpResponse:
    """Save, show or send what was typed; what is wrong stands at its field, and nothing typed is lost."""
    try:
        match request.POST.get("act"):
            case "preview":
                return _page(request, draft, found)
            case "test":
                return _tested(request, draft, found)
            case _:
                return _saved(request, draft, found)
    except Refusal as refusal:
        return _page(request, draft.with_troubles(refusal.errors), found, status=422)


def _saved(request: HttpRequest, draft: Draft, found: Found | None) -> HttpResponse:
    values = {"subject": draft.subject, "text": draft.text, "html": draft.html, "stream": draft.stream}
    wanted = templates.checked(draft.key, draft.language, values)
    try:
        with overtaking.saving(request, lambda: _now(draft, found)):
            saved = templates.store(wanted, actor(request), timezone.now())
    except Overtaken as overtaken:
        data = overtaking.merged(request.POST, overtaken)
        return _page(request, Draft.typed(data, found), found, 409, overtaken)
    notices.success(request, _("Saved."))
    return redirect(_address(saved.key, saved.language, saved.stream))


def _now(draft: Draft, found: Found | None) -> overtaking.Values:
    """What is saved where the draft is to be; a new one does not take another's place unseen."""
    if found is not None:
        return _saved_sources(
            or_404(lambda key: templates.find(key, draft.language, draft.stream), draft.key)
        )
    try:
        templates.find(draft.key, draft.language, draft.stream)
    except Missing:
        return {}
    raise Refusal(Invalid("key", "template_taken", "A template has this key in this language: open it."))


def _tested(request: HttpRequest, draft: Draft, found: Found | None) -> HttpResponse:
    message = _send(request, draft)
    at = reverse("messages:detail", kwargs={"uid": message.uid})
    words = format_html(
        '{} <a href="{}">{}</a>', _("A test message is on its way to you."), at, _("See the message")
    )
    notices.success(request, words)
    return _page(request, draft, found)


def _send(request: HttpRequest, draft: Draft) -> Message:
    """To the reader's own address, as any message of its stream would leave."""
    words, reader = draft.rendered(), address_of(request.user)
    to = () if reader is None else (NamedMailbox(reader),)
    envelope, content = compose(Post(to=to, subject=words.subject, text=words.text, html=words.html))
    submission = Submission(envelope, content, Via.CONSOLE, stream=draft.stream or None, tags=(TAG,))
    return accept(submission, timezone.now())


def _page(
    request: HttpRequest,
    draft: Draft,
    found: Found | None,
    status: int = 200,
    overtaken: Overtaken | None = None,
) -> HttpResponse:
    made: Rendered | None = None
    if not draft.troubles and (draft.sources.subject or request.method == "POST"):
        try:
            made = draft.rendered()
        except Refusal as refusal:
            draft, status = draft.with_troubles(refusal.errors), 422 if request.method == "POST" else 200
    context = {
        "draft": draft,
        "found": found,
        "seen": overtaking.marked(request, _saved_sources(found), overtaken) if found else "",
        "title": title_of(draft.key),
        "language_name": language_name(draft.language),
        "languages": [(code, language_name(code)) for code, _name in settings.LANGUAGES],
        "streams": streams.all_streams(),
        "made": made,
        "frame": showing.keep(request, made.html) if made is not None and made.html else "",
        "reader": address_of(request.user),
    }
    return render(request, "console/mail_templates/form.html", context, status=status)


def _address(key: str, language: str, stream: str) -> str:
    address = reverse("mail_templates:edit", kwargs={"key": key, "language": language})
    return f"{address}?stream={stream}" if stream else address


def language_name(code: str) -> str:
    """What the reader calls a language."""
    try:
        return Locale.parse(code, sep="-").get_display_name(get_language() or "en") or code
    except (ValueError, UnknownLocaleError):
        return code
