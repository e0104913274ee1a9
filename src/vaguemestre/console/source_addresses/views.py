"""The addresses that mail leaves from, to be given to whoever looks after a mail server's whitelist, and the
addresses that servers say they see.

Empty until the operator sets them: a newcomer never sees addresses of somebody else's servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from itertools import zip_longest

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from vaguemestre.console import kept, overtaking
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor
from vaguemestre.console.source_addresses.notice import changes_ahead, notice
from vaguemestre.ledger import sightings, source_addresses
from vaguemestre.ledger.models import Sighting
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.ledger.wording import describe
from vaguemestre.policy.export import Form, exported
from vaguemestre.policy.whitelist import Entry, Standing, plausible

SPARE_ROWS = 3
_FORMS = {
    Form.PLAIN: gettext_noop("One a line"),
    Form.CIDR: "CIDR",
    Form.NFTABLES: "nftables",
    Form.POSTFIX: "Postfix (mynetworks)",
    Form.MICROSOFT365: gettext_noop("Microsoft 365 (connector, PowerShell)"),
    Form.SPF: gettext_noop("SPF, for an own mail server"),
}

type Row = dict[str, str]


@dataclass(frozen=True)
class Listed:
    """A line of the list.

    Attributes:
        last_seen_at: when a server saw us come from it; None for never.
    """

    entry: Entry
    begun: bool
    over: bool
    last_seen_at: datetime | None


@dataclass(frozen=True)
class Seen:
    """What a connection's server saw."""

    sighting: Sighting
    standing: Standing


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list, what to do with it, and what servers see."""
    entries, today = sightings.entries(), timezone.now().date()
    seen = [Seen(one, sightings.standing_of(one, entries, today)) for one in sightings.all_of()]
    listed = _listed(entries, seen, today)
    context = {
        "addresses": listed,
        "to_allow": sum(not one.over for one in listed),
        "seen": seen,
        "unlisted": sightings.unlisted(timezone.now()),
        "exports": [(form, _(name), exported(form, entries, today)) for form, name in _FORMS.items()],
        "notice": notice(entries, today),
        "ahead": changes_ahead(entries, today),
    }
    return render(request, "console/source_addresses/index.html", context)


def _listed(entries: list[Entry], seen: list[Seen], today: date) -> list[Listed]:
    last = {one.sighting.address: one.sighting.last_seen_at for one in reversed(seen)}
    return [
        Listed(entry, entry.begun(today), entry.over(today), last.get(entry.address)) for entry in entries
    ]


@require_safe
def export(request: HttpRequest, form: str) -> HttpResponse:  # noqa: ARG001  Django's signature
    """The list as a file of text."""
    try:
        text = source_addresses.export(form, timezone.now().date())["text"]
    except Refusal:
        raise Http404 from None
    answer = HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="source-addresses-{form}.txt"'
    return answer


@require_POST
def forget(request: HttpRequest, number: int) -> HttpResponse:
    """Forget what a server told, until it tells it again."""
    try:
        sightings.forget(number)
    except Missing:
        raise Http404 from None
    messages.success(request, _("Forgotten. If a server sees it again, it comes back."))
    return redirect("source_addresses:index")


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest) -> HttpResponse:
    """Change the list; empty rows fall away."""
    if request.method != "POST":
        rows = _saved()
        proposed = plausible(request.GET.get("add", ""))
        return _form(request, [*rows, *([{"address": proposed}] if proposed else [])])
    rows = _posted(request)
    try:
        with overtaking.saving(request, lambda: {"rows": _saved()}):
            source_addresses.replace(rows, actor(request), timezone.now())
    except Overtaken as overtaken:
        typed = {row["address"] for row in rows}
        theirs = [row for row in _saved() if row["address"] not in typed]
        return _form(request, [*rows, *theirs], 409, overtaken)
    except Refusal as refusal:
        return _form(request, _marked(rows, refusal), status=422)
    messages.success(request, _("The list is saved."))
    return redirect("source_addresses:index")


def _saved() -> list[Row]:
    return [
        {name: str(getattr(row, name) or "") for name in source_addresses.FIELDS}
        for row in source_addresses.listed()
    ]


def _posted(request: HttpRequest) -> list[Row]:
    columns = [request.POST.getlist(name) for name in source_addresses.FIELDS]
    rows = [
        dict(zip(source_addresses.FIELDS, values, strict=True))
        for values in zip_longest(*columns, fillvalue="")
    ]
    return [row for row in rows if any(row.values())]


def _marked(rows: list[Row], refusal: Refusal) -> list[Row]:
    """Each fault at its row."""
    marked = [dict(row) for row in rows]
    for fault in refusal.errors:
        position, _bracket, name = fault.field.removeprefix("items[").partition("]")
        if position.isdecimal() and int(position) < len(marked):
            marked[int(position)] |= {"error": describe(fault), "at": name.removeprefix(".")}
    return marked


def _form(
    request: HttpRequest, rows: list[Row], status: int = 200, overtaken: Overtaken | None = None
) -> HttpResponse:
    spare: list[Row] = [{} for _spare in range(SPARE_ROWS)]
    seen = overtaking.marked(request, {"rows": _saved()}, overtaken)
    context = {"rows": rows + spare, "seen": seen}
    return render(request, "console/source_addresses/form.html", context, status=status)
