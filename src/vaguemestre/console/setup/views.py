"""The first run: a one-time link, printed at start, creates the first administrator."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from vaguemestre.console.people import guesses
from vaguemestre.console.setup.forms import FirstAdministratorForm
from vaguemestre.ledger import instance
from vaguemestre.ledger.models import User

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@login_not_required
@require_safe
def first_run(request: HttpRequest) -> HttpResponse:
    """Where the one-time link is, as long as nobody exists."""
    if User.objects.exists():
        return redirect("connections:index")
    return render(request, "console/setup/first_run.html")


@login_not_required
@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "POST"])
def first_administrator(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first administrator and sign them in; a used or wrong link says so."""
    if not instance.setup_token_valid(token):
        return _not_valid(request)
    form = FirstAdministratorForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "console/setup/administrator.html", {"form": form}, status=status)
    typed = form.cleaned_data
    user = instance.create_first_administrator(token, typed["email"], typed["password"], get_language() or "")
    if user is None:
        return _not_valid(request)
    login(request, user, backend=BACKEND)
    messages.success(request, _("Welcome. The next step is your first connection."))
    answer = redirect("connections:index")
    guesses.remember(answer, user.email)
    return answer


def _not_valid(request: HttpRequest) -> HttpResponse:
    context = {"people": User.objects.exists()}
    return render(request, "console/setup/link_not_valid.html", context, status=404)
