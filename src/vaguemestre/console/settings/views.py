"""What holds for the whole installation: what the default sender means, whether verifications are renewed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from vaguemestre.console import kept, overtaking
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor
from vaguemestre.ledger import foresight, instance
from vaguemestre.ledger.foresight import DAYS
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.wording import describe


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The settings."""
    if request.method != "POST":
        return _page(request)
    values = {
        "default_mode": request.POST.get("default_mode", ""),
        "renew_verifications": request.POST.get("renew_verifications") == "on",
    }
    try:
        with overtaking.saving(request, _shown):
            before = instance.settings()["default_mode"]
            after = instance.change_settings(values, actor(request), timezone.now())["default_mode"]
    except Overtaken as overtaken:
        data = overtaking.merged(request.POST, overtaken)
        told: dict[str, Any] = {"mode": data.get("default_mode", ""), "renews": "renew_verifications" in data}
        return _page(request, status=409, overtaken=overtaken, **told)
    except Refusal as refusal:
        return _page(request, " ".join(describe(fault) for fault in refusal.errors), status=422)
    messages.success(
        request, _("Saved.") if before == after else _("Saved. Waiting messages are routed anew.")
    )
    return redirect("settings:index")


@kept.typed()
@never_cache
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What another meaning of the default would change; nothing is saved."""
    try:
        mode = instance.mode_of(request.POST.get("default_mode", ""))
    except Refusal as refusal:
        return _page(request, " ".join(describe(fault) for fault in refusal.errors), status=422)
    other = mode != instance.settings()["default_mode"]
    found = foresight.of_mode(mode, timezone.now()) if other else None
    told: dict[str, Any] = {"mode": mode, "preview": found, "without_dns": True, "days": DAYS}
    if request.headers.get("HX-Request"):
        return render(request, "console/settings/mode_preview.html", told)
    return _page(request, **told, renews=request.POST.get("renew_verifications") == "on")


def _shown() -> dict[str, object]:
    found = instance.settings()
    return {name: found[name] for name in ("default_mode", "renew_verifications")}


def _page(
    request: HttpRequest,
    error: str = "",
    status: int = 200,
    overtaken: Overtaken | None = None,
    **told: object,
) -> HttpResponse:
    found = instance.settings()
    context = {
        "mode": found["default_mode"],
        "renews": found["renew_verifications"],
        "ruling": instance.ruling(),
        "error": error,
        "seen": overtaking.marked(request, _shown(), overtaken),
        **told,
    }
    return render(request, "console/settings/index.html", context, status=status)
