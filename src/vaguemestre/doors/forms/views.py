"""`/f/{key}`: takes what visitors send, and shows the form as a page of our own.

Nobody signs in here, and no cookie is looked at, so that there is nothing for a token against forgery to
protect. In this order: the form, the number of bytes, the site, the body, the input that is not for people,
the page's token, the fields, the limits; then one transaction. A program that filled the hidden input is told
what people are told, and nothing is kept or sent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.csp import CSP, build_policy
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from vaguemestre.doors.api.arrival import BrokenOff
from vaguemestre.doors.api.problems import Problem, Rejected, problem_of
from vaguemestre.doors.api.rooms import Full
from vaguemestre.doors.forms import tokens, visitors
from vaguemestre.doors.forms.reading import Posted, is_json, read
from vaguemestre.ledger import form_submissions, forms
from vaguemestre.ledger.form_letters import Sent
from vaguemestre.ledger.form_limits import HOUR, TooMany
from vaguemestre.ledger.form_markup import LANGUAGE, TOKEN, State, shown
from vaguemestre.ledger.models import Form
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid
from vaguemestre.policy.form_field import OLD_TRAP, fill, trap

log = structlog.get_logger("forms")

type View = Callable[[HttpRequest, Form], HttpResponse]


def _of_form(*methods: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """A view of an active form, to which only these methods go; other sites' scripts read it if they may."""

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @never_cache
        @functools.wraps(view)
        def answer(request: HttpRequest, key: str) -> HttpResponse:
            try:
                form = forms.find(key)
            except Missing:
                form = None
            if form is None or not form.active:
                return _gone(request)
            response = _answered(view, request, form, methods)
            site = visitors.sharing(request, form)
            if site:
                response.headers["Access-Control-Allow-Origin"] = site
            patch_vary_headers(response, ("Origin", "Accept", "Accept-Language"))
            return response

        return answer

    return decorate


def _gone(request: HttpRequest) -> HttpResponse:
    return _sorry(request, 404, _("There is no such form, or it takes nothing at present."))


def _answered(view: View, request: HttpRequest, form: Form, methods: tuple[str, ...]) -> HttpResponse:
    if request.method == "OPTIONS":
        return _preflight(request, form, methods)
    if request.method not in methods:
        return _sorry(request, 405, _("This is not taken here."), {"Allow": ", ".join(methods)})
    with override(visitors.language(request, form.languages, request.GET.get("language", ""))):
        return view(request, form)


@_of_form("GET", "HEAD", "POST")
def form_itself(request: HttpRequest, form: Form) -> HttpResponse:
    """The form as a page; a POST is a submission."""
    if request.method != "POST":
        language = visitors.language(request, form.languages, request.GET.get("language", ""))
        return _page(request, form, language, State())
    try:
        if not visitors.permitted(request, form):
            return _sorry(request, 403, _("This form may not be sent from that site."))
        posted = read(request, forms.fields_of(form))
    except (Rejected, BrokenOff, Full) as rejected:
        return _rejected(request, problem_of(rejected))
    except (Refusal, Invalid) as refusal:
        return _again(request, form, Posted({}, ()), _faults(refusal))
    language = visitors.language(request, form.languages, posted.text(LANGUAGE))
    with override(language):
        return _submitted(request, form, posted, language)


@_of_form("GET", "HEAD")
def token(request: HttpRequest, form: Form) -> HttpResponse:
    """A token, for a page of somebody else's that has a script."""
    del request
    return JsonResponse({"token": tokens.make(form.key, timezone.now())})


@_of_form("GET", "HEAD")
def thanks(request: HttpRequest, form: Form) -> HttpResponse:
    """What follows a submission, where the form leads nowhere else."""
    return render(request, "forms/thanks.html", {"form": form})


def _submitted(request: HttpRequest, form: Form, posted: Posted, language: str) -> HttpResponse:
    if posted.values.get(trap(form.key)) or posted.values.get(OLD_TRAP):
        log.info("form_trap", form=form.key)
        return _taken(request, form, language)
    now = timezone.now()
    filled = fill(forms.fields_of(form), posted.values)
    try:
        nonce = _nonce(form, posted)
        missing = _missing_files(form, posted)
        if filled.faults or missing:
            return _again(request, form, posted, (*filled.faults, *missing))
        sent = Sent(filled, posted.files, language, visitors.address(request), nonce)
        form_submissions.take(form, sent, now)
    except (Refusal, Invalid, Conflict) as refusal:
        return _again(request, form, posted, _faults(refusal))
    except Missing:
        return _gone(request)
    except TooMany:
        log.warning("form_limit_reached", form=form.key)
        words = _("That is more than this form takes at a time. Try again in an hour.")
        return _sorry(request, 429, words, {"Retry-After": str(int(HOUR.total_seconds()))})
    return _taken(request, form, language)


def _nonce(form: Form, posted: Posted) -> str | None:
    given = posted.text(TOKEN)
    if not given and not form.token_required:
        return None
    return tokens.nonce_of(given, form.key, timezone.now())


def _missing_files(form: Form, posted: Posted) -> tuple[Invalid, ...]:
    there = {field.name for field, _file in posted.files}
    return tuple(
        Invalid(field.name, "missing", "This is needed.")
        for field in forms.fields_of(form)
        if field.kind == "file" and field.required and field.name not in there
    )


def _taken(request: HttpRequest, form: Form, language: str) -> HttpResponse:
    """The same for a person and for a program that is led to believe so."""
    if is_json(request):
        return JsonResponse({"state": "taken"}, status=202)
    where = form.thanks_url or f"{reverse('forms:thanks', args=[form.key])}?language={language}"
    return HttpResponse(status=303, headers={"Location": where})


def _faults(refusal: Exception) -> tuple[Invalid, ...]:
    match refusal:
        case Refusal():
            return tuple(refusal.errors)
        case Invalid():
            return (refusal,)
        case Conflict():
            return (Invalid(TOKEN, refusal.code, refusal.message, refusal.facts),)
        case _:
            raise refusal


def _again(request: HttpRequest, form: Form, posted: Posted, faults: tuple[Invalid, ...]) -> HttpResponse:
    """The form with what was typed, and what is wrong where it is wrong."""
    if is_json(request):
        return problem_of(Refusal(*faults)).response()
    language = visitors.language(request, form.languages, posted.text(LANGUAGE))
    values = {name: value[:20_000] for name, value in posted.values.items() if isinstance(value, str)}
    state = State(values=values, errors={fault.field: describe(fault) for fault in faults})
    return _page(request, form, language, state, 422)


def _page(request: HttpRequest, form: Form, language: str, state: State, status: int = 200) -> HttpResponse:
    fresh = State(tokens.make(form.key, timezone.now()), state.values, state.errors)
    names = {field.name for field in forms.fields_of(form)}
    context = {
        "form": form,
        "markup": SafeString(shown(form, language, fresh)),  # every value in it is escaped
        "errors": [words for name, words in state.errors.items() if name not in names],
        "refused": bool(state.errors),
    }
    with override(language):
        response = render(request, "forms/form.html", context, status=status)
    response.headers[str(CSP.HEADER_ENFORCE)] = build_policy(_policy(form))
    return response


def _policy(form: Form) -> dict[str, Any]:
    """Browsers hold an answer that leads elsewhere against the page that was posted from."""
    if not form.thanks_url:
        return dict(settings.SECURE_CSP)
    parts = urlsplit(form.thanks_url)
    there = forms.origin(f"{parts.scheme}://{parts.netloc}")
    return settings.SECURE_CSP | {"form-action": [CSP.SELF, there]}


def _preflight(request: HttpRequest, form: Form, methods: tuple[str, ...]) -> HttpResponse:
    """What a browser asks before a script of another site sends JSON."""
    if not visitors.sharing(request, form):
        return HttpResponse(status=403)
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return HttpResponse(status=204, headers=headers)


def _rejected(request: HttpRequest, problem: Problem) -> HttpResponse:
    words = {
        413: _("This is too large for the form."),
        415: _("This is not what a form sends."),
        503: _("Too much is arriving here at this moment. Nothing was kept; go back and send it again."),
    }
    if is_json(request):
        return problem.response()
    told = words.get(problem.status, _("The form could not be read."))
    return _sorry(request, problem.status, told, dict(problem.headers))


def _sorry(
    request: HttpRequest, status: int, words: str, headers: dict[str, str] | None = None
) -> HttpResponse:
    if is_json(request):
        return Problem(status, words, headers=headers or {}).response()
    response = render(request, "forms/sorry.html", {"words": words}, status=status)
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response
