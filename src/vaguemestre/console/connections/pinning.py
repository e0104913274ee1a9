"""A certificate that is not trusted, shown as something to pin for this connection: never "do not verify".

The button puts the pin into the form and nothing else: it is saved with the rest, and a stored password has
to be typed again, since it was for another certificate (L8). It is an ordinary submit button; a script saves
the round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from vaguemestre.console import kept
from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.console.pages import or_404
from vaguemestre.ledger import connections
from vaguemestre.smtp.certificate import Certificate
from vaguemestre.verification.outcome import Outcome
from vaguemestre.verification.pins import pinnable


@dataclass(frozen=True)
class Offer:
    """What can be pinned.

    Attributes:
        certificate: the server's own, with its authority where pinning that would help.
    """

    certificate: Certificate

    @property
    def fingerprint(self) -> str:
        """In pairs, as administrators read it to each other."""
        digits = self.certificate.fingerprint.upper()
        return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))

    @property
    def valid_from(self) -> datetime | None:
        """None where it cannot be read."""
        return _moment(self.certificate.not_before)

    @property
    def valid_until(self) -> datetime | None:
        """None where it cannot be read."""
        return _moment(self.certificate.not_after)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def offer_of(outcome: Outcome) -> Offer | None:
    """What to offer after a verification; None where nothing is to be pinned."""
    certificate = pinnable(outcome)
    return None if certificate is None else Offer(certificate)


@kept.typed(password=gettext_noop("SMTP password"))
@sensitive_post_parameters("password")
@require_POST
def pin(request: HttpRequest) -> HttpResponse:
    """The form as it was typed, with the pin in its field. Nothing is saved."""
    typed = request.POST.copy()
    typed["pinned_certificate"] = typed.get("pin", "")
    uid = typed.get("uid")
    connection = or_404(connections.find, uid) if uid else None
    return form_page(request, ConnectionForm(typed), connection, pinned=True)
