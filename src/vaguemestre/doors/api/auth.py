"""Who asks: a bearer key (RFC 6750), its networks and its scopes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from vaguemestre.doors.api.problems import KEY_WANTED, Rejected
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey

_FORM = re.compile(r"vgm_[A-Za-z0-9_-]{8,200}")
_UNKNOWN = (
    "This API key is not known or has been revoked: copy it again, whole, or make another one"
    " (`vaguemestre key create`, or the console's page of applications)."
)


class BearerKey(HttpBearer):
    """`Authorization: Bearer vgm_…`."""

    def __call__(self, request: HttpRequest) -> ApiKey | None:
        """The same as ninja's, without a mapping of all the request's headers."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        return self.authenticate(request, token) if scheme.lower() == self.openapi_scheme else None

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """The key; None where none was given.

        Raises:
            Rejected: it is unknown, wrong or revoked (401), or may not come from there (403).
        """
        if not token.strip():
            return None
        key = keys.authenticate(token, timezone.now()) if _FORM.fullmatch(token) else None
        if key is None:
            raise Rejected(401, _UNKNOWN, headers=KEY_WANTED)
        if not _from_its_networks(key, request):
            raise Rejected(403, "This key may not be used from this address.")
        return key


def submitter(request: HttpRequest) -> ApiKey:
    """The key of an authenticated request."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]  # ninja sets it
    return key


def actor(request: HttpRequest) -> str:
    """The submitter, as the journal names it."""
    return f"key:{submitter(request).name}"


def has_scope(request: HttpRequest, scope: str) -> bool:
    """Whether the key has that scope."""
    return scope in submitter(request).scopes


def limited_to(request: HttpRequest) -> ApiKey | None:
    """The key, where it may see only what came with it."""
    return None if has_scope(request, "read") else submitter(request)


def demand(request: HttpRequest, scopes: Sequence[str]) -> None:
    """Refuse a key that has none of the scopes.

    Raises:
        Rejected: 403.
    """
    if not any(has_scope(request, scope) for scope in scopes):
        raise Rejected(403, f"This key lacks the scope {' or '.join(scopes)}.")


def _from_its_networks(key: ApiKey, request: HttpRequest) -> bool:
    if not key.networks:
        return True
    try:
        address = ip_address(str(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return False
    return any(address in ip_network(network) for network in key.networks)
