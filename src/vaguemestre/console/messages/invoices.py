"""Invoices by number: was it accepted, when, by which server, with which reply."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from vaguemestre.ledger import invoices

MOST = 50


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Those whose number or recipient holds what is looked for, the latest first."""
    search = request.GET.get("q", "").strip()[:200]
    found = [(one, invoices.outcome_of(one)) for one in invoices.latest(search, MOST)]
    return render(request, "console/messages/invoices.html", {"found": found, "search": search})
