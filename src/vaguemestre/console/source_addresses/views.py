"""The addresses that mail leaves from, to be given to whoever looks after a mail server's whitelist.

Empty until the operator sets them: a newcomer never sees addresses of somebody else's servers.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console.pages import actor
from vaguemestre.ledger import source_addresses
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.wording import describe

SPARE_ROWS = 3

type Row = dict[str, str]


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list, and what to do with it."""
    listed = source_addresses.listed()
    known = {row.address for row in listed}
    unlisted = [address for address in source_addresses.observed() if listed and address not in known]
    context = {"addresses": listed, "unlisted": unlisted}
    return render(request, "console/source_addresses/index.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Change the list; empty rows fall away."""
    if request.method != "POST":
        rows = [{"address": row.address, "label": row.label} for row in source_addresses.listed()]
        return _form(request, rows)
    rows = _posted(request)
    try:
        source_addresses.replace(rows, actor(request), timezone.now())
    except Refusal as refusal:
        return _form(request, _marked(rows, refusal), status=422)
    messages.success(request, _("The list is saved."))
    return redirect("source_addresses:index")


def _posted(request: HttpRequest) -> list[Row]:
    pairs = zip(request.POST.getlist("address"), request.POST.getlist("label"), strict=False)
    return [{"address": address, "label": label} for address, label in pairs if address or label]


def _marked(rows: list[Row], refusal: Refusal) -> list[Row]:
    """Each fault at its row."""
    marked = [dict(row) for row in rows]
    for fault in refusal.errors:
        position = fault.field.removeprefix("items[").partition("]")[0]
        if position.isdecimal() and int(position) < len(marked):
            marked[int(position)]["error"] = describe(fault)
    return marked


def _form(request: HttpRequest, rows: list[Row], status: int = 200) -> HttpResponse:
    spare: list[Row] = [{"address": "", "label": ""} for _spare in range(SPARE_ROWS)]
    return render(request, "console/source_addresses/form.html", {"rows": rows + spare}, status=status)
