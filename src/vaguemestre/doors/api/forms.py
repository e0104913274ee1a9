"""Forms over HTTP: set them up, and see what came in. Visitors themselves come to `doors.forms`."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.lists import USUAL, Cursor, Limit, page, position
from vaguemestre.ledger import form_markup, form_submissions, forms

router = Router(tags=["Forms"])
SCOPES = ("connections",)


@endpoint(router.get, "/forms", "listForms", scopes=SCOPES, gives="Forms")
def list_forms(_request: HttpRequest, limit: Limit = USUAL, cursor: Cursor = "") -> Answer:
    """All forms, by name."""
    return Answer(page(forms.all_forms(), forms.resource, cursor, limit))


@endpoint(router.post, "/forms", "createForm", scopes=SCOPES, takes="NewForm", gives="Form", status=201)
def create_form(request: HttpRequest) -> Answer:
    """Create a form; its key is made here."""
    return Answer(forms.resource(forms.create(posted(request), actor(request), timezone.now())), 201)


@endpoint(router.get, "/forms/{key}", "getForm", scopes=SCOPES, gives="Form")
def get_form(_request: HttpRequest, key: str) -> Answer:
    """One form."""
    return Answer(forms.resource(forms.find(key)))


@endpoint(router.patch, "/forms/{key}", "changeForm", scopes=SCOPES, takes="FormChanges", gives="Form")
def change_form(request: HttpRequest, key: str) -> Answer:
    """Change the named values."""
    return Answer(forms.resource(forms.edit(key, posted(request), actor(request), timezone.now())))


@endpoint(router.delete, "/forms/{key}", "deleteForm", scopes=SCOPES, status=204)
def delete_form(request: HttpRequest, key: str) -> Answer:
    """Delete a form with all that came in through it."""
    forms.delete(key, actor(request), timezone.now())
    return Answer(status=204)


@endpoint(router.get, "/forms/{key}/markup", "getFormMarkup", scopes=SCOPES, gives="FormMarkup")
def get_form_markup(_request: HttpRequest, key: str, language: str = "") -> Answer:
    """The HTML to paste into a site, in one of the form's languages."""
    form = forms.find(key)
    chosen = language if language in form.languages else form.languages[0]
    return Answer({"language": chosen, "html": form_markup.pasted(form, chosen)})


@endpoint(
    router.get, "/forms/{key}/submissions", "listFormSubmissions", scopes=SCOPES, gives="FormSubmissions"
)
def list_form_submissions(
    _request: HttpRequest, key: str, limit: Limit = USUAL, cursor: Cursor = ""
) -> Answer:
    """What came in, the latest first."""
    found = form_submissions.of_form(forms.find(key), limit + 1, position(cursor) or None)
    behind = str(found[limit - 1].pk) if len(found) > limit else None
    return Answer({"items": [form_submissions.resource(one) for one in found[:limit]], "next": behind})


@endpoint(router.delete, "/forms/{key}/submissions/{id}", "deleteFormSubmission", scopes=SCOPES, status=204)
def delete_form_submission(_request: HttpRequest, key: str, id: str) -> Answer:  # noqa: A002  its public name
    """Delete what one visitor sent, at their wish."""
    form_submissions.delete(forms.find(key), id)
    return Answer(status=204)
