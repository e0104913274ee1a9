"""What is told to a person who cannot sign in."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@login_not_required
@require_safe
def forgotten(request: HttpRequest) -> HttpResponse:
    """How the operator sets a new password, since nothing is mailed."""
    return render(request, "console/people/forgotten.html")
