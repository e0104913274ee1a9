"""Verify connection: the typed values, saved or not, tried for real; each step shown as it happens.

With a script the answer is a stream of JSON lines, each with a piece of HTML: `{"step": ...}` as it happens,
`{"outcome": ..., "ok": ...}` at last. It comes from a synchronous generator, since Django under WSGI buffers
asynchronous ones. Without a script the same button answers with the whole page. Nothing is saved either way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from vaguemestre.console import kept
from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.findings import told
from vaguemestre.console.connections.forms import ConnectionForm, field_of
from vaguemestre.console.connections.pinning import offer_of
from vaguemestre.console.pages import or_404
from vaguemestre.console.vault import remedy
from vaguemestre.ledger import connections
from vaguemestre.ledger.connections import Draft
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.vault import Shut
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.transcript import Step
from vaguemestre.verification.outcome import Outcome
from vaguemestre.verification.probe import Busy
from vaguemestre.verification.probe import verify as probe
from vaguemestre.verification.wording import busy_text, step_detail, step_failed, step_text

LINES = "application/x-ndjson"


@kept.typed(password=gettext_noop("SMTP password"))
@sensitive_post_parameters("password")
@require_POST
def verify(request: HttpRequest) -> HttpResponseBase:
    """Try the typed values."""
    form = ConnectionForm(request.POST)
    values = _without_empty_name(form.typed())
    uid = request.POST.get("uid") or None
    connection = or_404(connections.find, uid) if uid else None
    streams = LINES in request.headers.get("Accept", "")
    recipient = address_of(request.user) if request.POST.get("ask_recipient") else None
    try:
        draft = connections.draft(values, uid)
    except Refusal as refusal:
        if streams:
            return _refused(refusal)
        form.refuse(refusal.errors)
        return form_page(request, form, connection, status=422)
    except Shut as shut:
        if not streams:
            raise  # to a page of its own
        return _as_lines([_wary(remedy(shut))])
    if streams:
        return _stream(draft, recipient)
    return form_page(request, form, connection, **_whole(draft, recipient))


def _without_empty_name(values: dict[str, object]) -> dict[str, object]:
    """A connection can be tried before it has a name."""
    return {name: value for name, value in values.items() if name != "name" or value}


def _refused(refusal: Refusal) -> JsonResponse:
    errors = [{"field": field_of(fault) or "", "message": describe(fault)} for fault in refusal.errors]
    return JsonResponse({"errors": errors}, status=422)


def _stream(draft: Draft, recipient: Mailbox | None) -> StreamingHttpResponse:
    return _as_lines(_told(draft, recipient, translation.get_language() or "en"))


def _as_lines(told: Iterable[dict[str, Any]]) -> StreamingHttpResponse:
    lines = (json.dumps(one).encode() + b"\n" for one in told)
    response = StreamingHttpResponse(lines, content_type=LINES)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _told(draft: Draft, recipient: Mailbox | None, language: str) -> Iterator[dict[str, Any]]:
    """The language is set for each line: the generator runs when the request's own setting is gone."""
    for event in _events(draft, recipient):
        with translation.override(language):
            line = _line(event)
        yield line


def _events(draft: Draft, recipient: Mailbox | None) -> Iterator[Step | Outcome | None]:
    """Steps, then the outcome; None where too many verifications run already."""
    try:
        yield from probe(draft, timezone.now(), recipient=recipient)
    except Busy:
        yield None


def _line(event: Step | Outcome | None) -> dict[str, Any]:
    if event is None:
        return _wary(busy_text())
    if isinstance(event, Step):
        return {"step": _step(event)}
    page = render_to_string("console/connections/outcome.html", _outcome(event))
    return {"outcome": page, "ok": event.ok}


def _whole(draft: Draft, recipient: Mailbox | None) -> dict[str, Any]:
    """The page's part about the verification, once it has ended."""
    *events, last = _events(draft, recipient)
    if not isinstance(last, Outcome):
        return {"busy": _note(busy_text())}
    return {**_outcome(last), "steps": [_step(event) for event in events if isinstance(event, Step)]}


def _step(step: Step) -> SafeString:
    context = {
        "step": step.as_json(),
        "failed": step_failed(step),
        "words": step_text(step),
        "detail": step_detail(step),
    }
    return render_to_string("console/connections/step.html", context)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    offer = offer_of(outcome)
    return {"outcome": outcome, "findings": told(outcome.findings), "offer": offer}


def _wary(words: str) -> dict[str, Any]:
    """A line that ends the stream ahead of any dialogue."""
    return {"outcome": _note(words), "ok": False}


def _note(words: str) -> str:
    return render_to_string("console/connections/busy.html", {"words": words})
