"""Formulaires: the forms of websites, what came in through them, and the HTML to paste."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console import kept, overtaking
from vaguemestre.console.communications.views import Way, way_of
from vaguemestre.console.mail_templates.views import language_name, title_of
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor, or_404
from vaguemestre.console.web_forms import rows as field_rows
from vaguemestre.console.web_forms.rows import Row
from vaguemestre.console.web_forms.typed import WebForm
from vaguemestre.console.web_forms.words import KINDS, starting
from vaguemestre.ledger import connections, form_markup, form_submissions, forms, instance, templates
from vaguemestre.ledger.accept import explain
from vaguemestre.ledger.form_wording import unreplied_text
from vaguemestre.ledger.models import Form, FormSubmission
from vaguemestre.ledger.referrers import FORM_STREAM
from vaguemestre.ledger.refusals import Missing, Refusal

SHOWN = 50  # submissions on a page
MORE = 5  # rows that one press adds


@dataclass(frozen=True)
class Listed:
    """A form as the list shows it."""

    form: Form
    address: str
    submissions: int
    way: Way


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The forms, with the connection that carries their messages now."""
    found = [
        Listed(form, forms.address_of(form), form_submissions.number(form), _way(form))
        for form in forms.all_forms()
    ]
    context = {"found": found, "ruling": instance.ruling()}
    return render(request, "console/web_forms/index.html", context)


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A form of one's own; it begins with what most of them ask."""
    if request.method != "POST":
        started = WebForm.of(Form(active=True, languages=[request.LANGUAGE_CODE]))
        return _page(request, started, starting(), None)
    return _posted(request, None)


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: str) -> HttpResponse:
    """All that a form is."""
    form = or_404(forms.find, key)
    if request.method != "POST":
        return _page(request, WebForm.of(form), field_rows.of_fields(forms.fields_of(form)), form)
    return _posted(request, form)


@require_safe
def markup(request: HttpRequest, key: str) -> HttpResponse:
    """The HTML to paste into a site, in each language."""
    form = or_404(forms.find, key)
    pieces = [
        (language, language_name(language), form_markup.pasted(form, language)) for language in form.languages
    ]
    context = {"form": form, "pieces": pieces, "address": forms.address_of(form)}
    return render(request, "console/web_forms/markup.html", context)


@require_safe
def submissions(request: HttpRequest, key: str) -> HttpResponse:
    """What came in, the latest first."""
    form = or_404(forms.find, key)
    before = request.GET.get("before", "")
    start = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    found = form_submissions.of_form(form, SHOWN + 1, start)
    context = {
        "form": form,
        "found": [(one, _why(one), _files(one, form)) for one in found[:SHOWN]],
        "behind": found[SHOWN - 1].pk if len(found) > SHOWN else None,
    }
    return render(request, "console/web_forms/submissions.html", context)


@require_safe
def csv(request: HttpRequest, key: str) -> HttpResponseBase:
    """All of them, for a spreadsheet."""
    del request
    form = or_404(forms.find, key)
    name = f'attachment; filename="{form.key}.csv"'
    return StreamingHttpResponse(
        form_submissions.csv_of(form),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": name},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def forget(request: HttpRequest, key: str, uid: object) -> HttpResponse:
    """Delete what one visitor sent, once that was confirmed."""
    form = or_404(forms.find, key)
    if request.method != "POST":
        return render(request, "console/web_forms/forget.html", {"form": form})
    with contextlib.suppress(Missing):  # somebody else was faster
        form_submissions.delete(form, str(uid))
    messages.success(request, _("The submission is deleted."))
    return redirect("web_forms:submissions", key=key)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str) -> HttpResponse:
    """Delete a form, once that was confirmed."""
    form = or_404(forms.find, key)
    if request.method != "POST":
        context = {"form": form, "number": form_submissions.number(form)}
        return render(request, "console/web_forms/delete.html", context)
    forms.delete(key, actor(request), timezone.now())
    messages.success(request, _("The form “%(name)s” is deleted.") % {"name": form.name})
    return redirect("web_forms:index")


def _posted(request: HttpRequest, existing: Form | None) -> HttpResponse:
    typed, posted = WebForm(request.POST), field_rows.posted(request.POST)
    if request.POST.get("act") == "rows":
        return _page(request, typed, field_rows.with_spare(posted, MORE), existing)
    values = typed.typed() | {"fields": field_rows.typed(posted)}
    try:
        saved = _save(request, existing, values)
    except Overtaken as overtaken:
        return _overtaken(request, existing, posted, overtaken)
    except Refusal as refusal:
        typed.refuse(refusal.errors)
        told = field_rows.refused(posted, refusal.errors)
        return _page(request, typed, field_rows.with_spare(told), existing)
    messages.success(request, _("The form “%(name)s” is saved.") % {"name": saved.name})
    return redirect("web_forms:markup" if existing is None else "web_forms:index", *_key(existing, saved))


def _save(request: HttpRequest, existing: Form | None, values: dict[str, object]) -> Form:
    if existing is None:
        return forms.create(values, actor(request), timezone.now())
    with overtaking.saving(request, lambda: _saved(or_404(forms.find, existing.key))):
        return forms.edit(existing.key, values, actor(request), timezone.now())


def _saved(form: Form) -> dict[str, object]:
    """A form's values as its page is made from them."""
    return {**WebForm.of(form).initial, "fields": _as_text(_saved_rows(form))}


def _saved_rows(form: Form) -> list[Row]:
    return [row for row in field_rows.of_fields(forms.fields_of(form)) if row.label]


def _as_text(rows: list[Row]) -> str:
    return orjson.dumps(field_rows.typed(rows)).decode()


def _overtaken(
    request: HttpRequest, stale: Form | None, posted: list[Row], overtaken: Overtaken
) -> HttpResponse:
    """The page of a form that somebody else saved meanwhile."""
    form = None if stale is None else or_404(forms.find, stale.key)
    data, own = request.POST.copy(), _as_text(posted)
    data["fields"] = own
    data = overtaking.merged(data, overtaken)
    if data["fields"] != own and form is not None:
        posted = _saved_rows(form)
    typed = WebForm(data)
    overtaking.tell(typed, overtaken)
    return _page(request, typed, field_rows.with_spare(posted), form, overtaken)


def _key(existing: Form | None, saved: Form) -> list[str]:
    return [saved.key] if existing is None else []


def _page(
    request: HttpRequest,
    typed: WebForm,
    rows: Sequence[Row],
    form: Form | None,
    overtaken: Overtaken | None = None,
) -> HttpResponse:
    keys = sorted({one.key for one in templates.all_templates()})
    typed.offer(connections.all_connections(), [(key, title_of(key)) for key in keys])
    refused = bool(typed.errors) or any(row.error for row in rows)
    context = {
        "typed": typed,
        "rows": rows,
        "kinds": [(kind.value, words) for kind, words in KINDS.items()],
        "form": form,
        "seen": "" if form is None else overtaking.marked(request, _saved(form), overtaken),
        "way": None if form is None else _way(form),
        "refused": refused,
    }
    status = 409 if overtaken else 422 if refused else 200
    return render(request, "console/web_forms/form.html", context, status=status)


def _way(form: Form) -> Way:
    connection = None if form.connection is None else str(form.connection.uid)
    return way_of(explain(FORM_STREAM, None, connection))


def _files(one: FormSubmission, form: Form) -> list[tuple[str, dict[str, object]]]:
    """Each file under its field's label; that of a field which is gone under its name."""
    labels = {field.name: field.label for field in forms.fields_of(form)}
    return [(labels.get(file["name"], file["name"]), file) for file in one.files]


def _why(one: FormSubmission) -> str:
    return unreplied_text(one.unreplied) if one.unreplied else ""
