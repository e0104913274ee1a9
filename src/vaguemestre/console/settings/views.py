"""What holds for the whole installation: what the default sender means, whether verifications are renewed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from vaguemestre.console.pages import actor
from vaguemestre.ledger import instance
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.wording import describe


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The settings."""
    if request.method != "POST":
        return _page(request)
    try:
        values = {
            "default_mode": request.POST.get("default_mode", ""),
            "renew_verifications": request.POST.get("renew_verifications") == "on",
        }
        before = instance.settings()["default_mode"]
        after = instance.change_settings(values, actor(request), timezone.now())["default_mode"]
    except Refusal as refusal:
        return _page(request, " ".join(describe(fault) for fault in refusal.errors), status=422)
    messages.success(
        request, _("Saved.") if before == after else _("Saved. Waiting messages are routed anew.")
    )
    return redirect("settings:index")


def _page(request: HttpRequest, error: str = "", status: int = 200) -> HttpResponse:
    found = instance.settings()
    context = {
        "mode": found["default_mode"],
        "renews": found["renew_verifications"],
        "ruling": instance.ruling(),
        "error": error,
    }
    return render(request, "console/settings/index.html", context, status=status)
