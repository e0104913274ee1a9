"""A certificate that is not trusted, shown as something to pin for this connection: never "do not verify".

The button puts the pin into the form and nothing else: it is saved with the rest, and a stored password has
to be typed again, since it was for another certificate (L8). It is an ordinary submit button; a script saves
the round trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from vaguemestre.console.connections.editing import form_page
from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.console.pages import or_404
from vaguemestre.ledger import connections
from vaguemestre.policy.finding import Finding, FindingCode
from vaguemestre.smtp.certificate import Certificate

# Where the certificate is what it should be and only we do not know it, or its name. Not where something in
# between is suspected, and not where our clock may be wrong.
LEAF = frozenset(
    {
        FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY,
        FindingCode.CERTIFICATE_SELF_SIGNED,
        FindingCode.CERTIFICATE_WRONG_NAME,
        FindingCode.CERTIFICATE_EXPIRED,
        FindingCode.CERTIFICATE_CHANGED,
    }
)
AUTHORITY = frozenset({FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY, FindingCode.CERTIFICATE_CHANGED})


@dataclass(frozen=True)
class Offer:
    """What can be pinned.

    Attributes:
        certificate: the server's own.
        authority: the one that signed it; None where pinning that would not help.
    """

    certificate: Certificate
    authority: Certificate | None

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


def offer_of(findings: tuple[Finding, ...], presented: Certificate | None) -> Offer | None:
    """What to offer after a verification that found this; None where nothing is to be pinned."""
    decisive = findings[0].code
    if presented is None or decisive not in LEAF:
        return None
    return Offer(presented, presented.authority if decisive in AUTHORITY else None)


@sensitive_post_parameters("password")
@require_POST
def pin(request: HttpRequest) -> HttpResponse:
    """The form as it was typed, with the pin in its field. Nothing is saved."""
    typed = request.POST.copy()
    typed["pinned_certificate"] = typed.get("pin", "")
    uid = typed.get("uid")
    connection = or_404(connections.find, uid) if uid else None
    return form_page(request, ConnectionForm(typed), connection, pinned=True)
