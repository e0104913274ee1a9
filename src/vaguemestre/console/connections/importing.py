"""Import: paste what another program has, and get the form filled. Nothing is saved before *Save*.

The pasted text is never kept, logged or shown again. A password in it goes into the form's password field
and nowhere else, in an answer that no cache keeps.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.imports.read import MOST, read
from vaguemestre.providers.imports.reading import Found, Kind, Reading
from vaguemestre.providers.wording import kind_text, missed_text


@never_cache
@sensitive_post_parameters("text")
@require_http_methods(["GET", "HEAD", "POST"])
def paste(request: HttpRequest) -> HttpResponse:
    """The page for pasting; then the filled form, or the choice among several."""
    if request.method != "POST":
        return _page(request)
    try:
        reading = read(request.POST.get("text", ""), request.POST.get("kind", ""))
    except Invalid as fault:
        return _page(request, describe(fault))
    if not reading.found:
        return _page(request, _("There is no account for sending in this text."), reading)
    if len(reading.found) == 1:
        return _filled(request, _fields(reading.found[0]), missed=_missed(reading))
    choices = [(found, _fields(found)) for found in reading.found]
    context = {"choices": choices, "kind": kind_text(reading.kind), "missed": _missed(reading)}
    return render(request, "console/connections/import_choices.html", context)


@never_cache
@sensitive_post_parameters("password")
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """The form filled with one of several."""
    return _filled(request, request.POST)


def _filled(request: HttpRequest, fields: QueryDict, **more: Any) -> HttpResponse:
    form = ConnectionForm(fields)
    # What was pasted a moment ago: the only page that ever shows a password field with something in it.
    form.fields["password"].widget.render_value = True
    return form_page(request, form, None, imported=True, **more)


def _fields(found: Found) -> QueryDict:
    """The form's fields as a browser would post them."""
    fields = QueryDict(mutable=True)
    typed = {"encryption": "starttls", "active": "on", **found.typed()}
    for name, value in typed.items():
        if isinstance(value, dict):
            fields.update(value)
        else:
            fields[name] = "\n".join(value) if isinstance(value, list) else str(value)
    return fields


def _missed(reading: Reading) -> list[str]:
    return [missed_text(line) for line in reading.unread]


def _page(request: HttpRequest, error: str = "", reading: Reading | None = None) -> HttpResponse:
    context = {
        "error": error,
        "missed": _missed(reading) if reading else [],
        "kinds": [(kind.value, kind_text(kind)) for kind in Kind],
        "chosen": request.POST.get("kind", ""),
        "most": MOST,
    }
    return render(request, "console/connections/import.html", context, status=422 if error else 200)
